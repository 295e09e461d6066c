"""Whole users of a night, chosen by a hash, where it has more decisions than are read at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from numpy.typing import NDArray

from mrlm.bandit_log.user_folds import split_mix, user_key

# Another split of users than the folds', or some folds would be empty.
_SALT = 0x5A3B1E
_KEYS = 2.0**64
# Rows that are decoded at once, with lists of candidates and of users alone: tens of megabytes.
_ROWS, _ROWS_OF_USERS = 1 << 14, 1 << 20
# However many decisions each of them has: fewer users carry no interval, and might be none.
_LEAST_USERS = 1000


@dataclass(frozen=True)
class UserSample:
    """Users whose hash, as a share of the greatest, is in [since, until).

    Of two samples of one night from 0 on, the users of the smaller are among those of the larger.
    An interval that is clustered by user stays valid: every user comes with all decisions of the
    night or with none, and the hash knows nothing of what they did. Each night's users are drawn
    anew: were they the same ones, a policy that was chosen by what they like would be judged on
    them, and not on all users.

    Attributes:
        since: in [0, 1).
        until: in (0, 1]; 1 is the end of all hashes.
        night: whose users these are, any name; another one splits users another way.
    """

    since: float = 0.0
    until: float = 1.0
    night: str = ""

    @classmethod
    def of(cls, place: Path, most: int | None, night: str = "") -> UserSample:
        """What keeps about ``most`` rows of a Parquet file or folder; None keeps all.

        More are kept where the rows of about a thousand users are more.
        """
        rows = 0 if most is None else _rows(place)
        if most is None or rows <= most:
            return cls(night=night)
        share = max(most / rows, _LEAST_USERS / _users(place))
        return cls(until=min(share, 1.0), night=night)

    @classmethod
    def parts(cls, place: Path, most: int | None) -> list[UserSample]:
        """What keeps every user of a Parquet file or folder once, in parts of about ``most`` rows.

        None is one part.
        """
        many = 1 if most is None else max(math.ceil(_rows(place) / most), 1)
        return [cls(i / many, (i + 1) / many) for i in range(many)]

    @property
    def share(self) -> float:
        """Of all users, in expectation, in (0, 1]."""
        return self.until - self.since

    def keeps(self, user: pa.Array) -> NDArray[np.bool_]:
        """Whether each row's user is kept, bool, shape (n,); a number is taken as its digits."""
        encoded = pc.dictionary_encode(pc.fill_null(pc.cast(user, pa.string()), ""))
        names = encoded.dictionary.to_numpy(zero_copy_only=False)
        own = int(user_key(np.array([self.night]))[0])
        hashed = split_mix(_SALT ^ own)(names).astype(np.float64)
        kept = hashed >= self.since * _KEYS
        if self.until < 1:
            kept &= hashed < self.until * _KEYS
        rows: NDArray[np.bool_] = kept[encoded.indices.to_numpy(zero_copy_only=False)]
        return rows

    def read(self, place: Path, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of the kept users, in the order of the files, some columns or all.

        A part of the users takes a part of the memory: files are read a few rows at a time.
        """
        dataset = pads.dataset(place, partitioning=None)
        names = list(columns or dataset.schema.names)
        if self.share == 1:
            return dataset.to_table(columns=names)
        wanted = [*names, *(["user"] if "user" not in names else [])]
        parts = [
            batch.filter(pa.array(self.keeps(batch["user"]))).select(names)
            for batch in dataset.to_batches(
                columns=wanted, batch_size=_ROWS, batch_readahead=2, fragment_readahead=1
            )
        ]
        schema = pa.schema([dataset.schema.field(n) for n in names])
        return pa.Table.from_batches(parts, schema)


def _rows(place: Path) -> int:
    rows: int = pads.dataset(place, partitioning=None).count_rows()
    return rows


def _users(place: Path) -> int:
    found = np.zeros(0, np.uint64)
    dataset = pads.dataset(place, partitioning=None)
    for batch in dataset.to_batches(columns=["user"], batch_size=_ROWS_OF_USERS):
        names = pc.unique(pc.fill_null(pc.cast(batch["user"], pa.string()), ""))
        if len(names):
            found = np.union1d(found, user_key(names.to_numpy(zero_copy_only=False)))
    return len(found)
