"""The order of slots and steps within their rounds, none of which may be missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.checks import RowError
from mrlm.ope.table.columns.cells import names_of, numbers_of
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.rounds.numbered import Numbered
from mrlm.ope.table.rounds.whole_rounds import run_starts


@dataclass(frozen=True)
class Places:
    """Where the rows of a batch stand in its n rounds.

    Attributes:
        order: int64, shape (S,), the rows, round by round and each from its first place on.
        offsets: int64, shape (n + 1,), offsets of the rounds.
        first: number of the first place, 0 or 1; the same in the whole table.
    """

    order: NDArray[np.int64]
    offsets: NDArray[np.int64]
    first: int

    @classmethod
    def of(
        cls, part: Numbered, columns: Columns, user: NDArray[Any], first: int | None = None
    ) -> Places:
        """Places of a batch of whole rounds.

        Args:
            part: numbered rows with the columns of the layout.
            columns: what they mean.
            user: of each row, shape (S,).
            first: of earlier batches; None in the first one.

        Raises:
            ValueError: places are missing, come twice or do not count from 0 or 1 in steps of one,
                or a round has two users; the row is named.
        """
        rows, batch = part
        layout = columns.layout
        if layout.round_id is None or layout.place is None:
            raise ValueError("rows that are rounds have no place in one")
        round_id = layout.round_id
        place = numbers_of(batch.column(layout.place), layout.place)
        ids = batch.column(round_id)
        starts = run_starts(ids)
        offsets = np.append(starts, len(place))
        code = np.repeat(np.arange(len(starts)), np.diff(offsets))
        order = np.lexsort((place, code))
        sorted_place, inside = place[order], np.ones(len(order), np.bool_)
        inside[starts] = False
        before = np.concatenate([[np.nan], sorted_place[:-1]])
        begins = sorted_place[0] if first is None else first

        def refuse(bad: NDArray[np.bool_], at: NDArray[np.int64], problem: str) -> None:
            if bad.any():
                i = int(at[np.flatnonzero(bad)[0]])
                name = names_of(ids.slice(i, 1), round_id, rows[i : i + 1]).tolist()[0]
                raise RowError(
                    int(rows[i]), f"{round_id} {name!r}: {layout.place} {place[i]:g} {problem}"
                )

        refuse(
            ~np.isfinite(sorted_place) | (sorted_place != np.floor(sorted_place)),
            order,
            "is not a whole number",
        )
        refuse(inside & (sorted_place == before), order, "comes twice")
        refuse(
            inside & (sorted_place != before + 1),
            order,
            "does not follow the one before it: rows are missing; leave out all its rows, or "
            "number them without gaps",
        )
        refuse(
            ~inside & ((sorted_place != begins) | (begins not in (0, 1))),
            order,
            "is its first, and the table must count from 0 or everywhere from 1: the rows "
            "before are missing, or far from it; leave out all its rows, sort them, or number them "
            "anew",
        )
        moved = np.concatenate([[False], np.asarray(user[1:] != user[:-1], np.bool_)])
        refuse(
            moved & inside, np.arange(len(order)), f"has another {columns.unit} than the row before"
        )
        return cls(order, offsets, int(begins))
