"""Users in rising order, checked by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrlm.ope.checks import RowError
from mrlm.ope.table.rounds.numbered import Numbered


@dataclass
class Rising:
    """A check that a column never falls through the batches of a table.

    Attributes:
        column: that must rise; None checks nothing.
        last: its last value so far, an array of one; None before the first batch.
    """

    column: str | None
    last: pa.Array | None = None

    def check(self, part: Numbered) -> None:
        """Check one more batch; missing values, and types that are no ids, are left to the reader.

        Raises:
            ValueError: a value is below the one before; its row is named.
        """
        rows, batch = part
        if self.column is None:
            return
        ids = batch.column(self.column)
        if pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_decode()
        text = pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)
        if not text and not pa.types.is_integer(ids.type):
            return
        before = ids.slice(0, 1) if self.last is None else self.last
        chain = pa.concat_arrays([before, ids])
        fall = pc.fill_null(pc.less(ids, chain.slice(0, len(ids))), False)
        found = np.flatnonzero(fall.to_numpy(zero_copy_only=False))
        if len(found):
            i = int(found[0])
            raise RowError(
                int(rows[i]),
                f"{self.column} {ids[i].as_py()!r} comes after {chain[i].as_py()!r}: sort by "
                "user, or leave --sorted-by-user (order='sorted') out",
            )
        self.last = ids.slice(len(ids) - 1)
