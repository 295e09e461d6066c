"""Outcomes of a log of any length on the disk, in files of whole users."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.stored.shown_nights import ShownNights
from mrlm.bandit_log.user_folds import split_mix, user_folds, user_key
from mrlm.bandit_log.users import group
from mrlm.behaviour.fitting.outcomes import Outcomes
from mrlm.behaviour.settings import BehaviourSettings

# Another split of users than the folds' and the samples'.
_SALT = 0x07C0E5
_FOLDS = ("fold", "statistics_fold", "factors_fold", "sequence_fold")
# Outcomes of a file, about: their users' posteriors are in memory at once, 200 MiB at most.
_ROWS = 1 << 16


@dataclass(frozen=True)
class StoredOutcomes:
    """Outcomes of all nights' users, each user's in one file; read anew at each pass.

    Attributes:
        files: of the users that a hash puts together; one without users may be missing.
        heads: how many rewards a row has.
    """

    files: tuple[Path, ...]
    heads: int

    @classmethod
    def write(
        cls, nights: ShownNights, settings: BehaviourSettings, folder: Path
    ) -> StoredOutcomes:
        """Go through the nights once; rewards are kept in single precision.

        Args:
            nights: of which all decisions are kept, 20 bytes and 8 a head each.
            settings: how users are split.
            folder: for the files, which are the caller's to remove.
        """
        many = max(math.ceil(nights.decisions / _ROWS), 1)
        found = cls(
            tuple(folder / f"{i:05d}.outcomes" for i in range(many)),
            sum(o.source == "feedback" for o in nights.objectives),
        )
        for log in nights:
            names, row = group(log.decisions.user)
            # Users have one number in all nights.
            found._append(
                Outcomes.of(log, settings),
                user_key(names)[row],
                user_folds(names, many, split_mix(_SALT))[row],
            )
        return found

    def __iter__(self) -> Iterator[Outcomes]:
        for file in self.files:
            if file.exists():
                yield _outcomes(np.fromfile(file, self._row))

    @property
    def _row(self) -> np.dtype[np.void]:
        rewards = [(name, "<f4", (self.heads,)) for name in ("rewards", "by_itself")]
        folds = [(name, "<u2") for name in _FOLDS]
        return np.dtype([("user", "<i8"), ("item", "<i4"), *folds, *rewards])

    def _append(
        self, outcomes: Outcomes, user: NDArray[np.uint64], file: NDArray[np.int64]
    ) -> None:
        rows = np.empty(len(user), self._row)
        for name in self._row.names or ():
            rows[name] = user.view(np.int64) if name == "user" else getattr(outcomes, name)
        order = np.argsort(file, kind="stable")
        ends = np.searchsorted(file[order], np.arange(len(self.files) + 1))
        for i in np.flatnonzero(np.diff(ends)):
            with self.files[i].open("ab") as out:
                # What ``tofile`` raises on a full disk does not say so.
                out.write(rows[order[ends[i] : ends[i + 1]]].data)


def _outcomes(rows: NDArray[np.void]) -> Outcomes:
    return Outcomes(
        user=np.ascontiguousarray(rows["user"]),
        item=np.ascontiguousarray(rows["item"]),
        rewards=rows["rewards"].astype(np.float64),
        by_itself=rows["by_itself"].astype(np.float64),
        **{name: rows[name].astype(np.int64) for name in _FOLDS},
    )
