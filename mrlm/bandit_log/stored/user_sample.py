"""Whole users of a night, chosen by a hash, where it has more decisions than are read at once."""

from __future__ import annotations

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
    """Users whose hash, as a share of the greatest, is below a share.

    Of two samples of one night, the users of the smaller are among those of the larger.
    An interval that is clustered by user stays valid: every user comes with all decisions of the
    night or with none, and the hash knows nothing of what they did. Each night's users are drawn
    anew: were they the same ones, a policy that was chosen by what they like would be judged on
    them, and not on all users.

    Attributes:
        share: of all users, in expectation, in (0, 1].
        night: whose users these are, any name; another one splits users another way.
    """

    share: float = 1.0
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
        return cls(min(share, 1.0), night)

    def keeps(self, user: pa.Array) -> NDArray[np.bool_]:
        """Whether each row's user is kept, bool, shape (n,)."""
        if self.share == 1:
            return np.ones(len(user), np.bool_)
        kept: NDArray[np.bool_] = shares_of_users(user, self.night) < self.share
        return kept

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


def shares_of_users(user: pa.Array, night: str = "") -> NDArray[np.float64]:
    """The hash of each row's user as a share of the greatest, in [0, 1], shape (n,).

    Args:
        user: names, shape (n,); a number is taken as its digits, none as an empty name.
        night: any name; another one gives other shares.
    """
    encoded = pc.dictionary_encode(pc.fill_null(pc.cast(user, pa.string()), ""))
    names = encoded.dictionary.to_numpy(zero_copy_only=False)
    own = int(user_key(np.array([night]))[0])
    hashed: NDArray[np.float64] = split_mix(_SALT ^ own)(names) / _KEYS
    share: NDArray[np.float64] = hashed[encoded.indices.to_numpy(zero_copy_only=False)]
    return share


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
