"""What shown items brought to whole users, and how these are split for cross-fitting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.bandit_log.users import group
from mrlm.behaviour.settings import BehaviourSettings

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Outcomes:
    """n shown items with what became of them, all of a user's or none of them; h heads.

    Attributes:
        user: int64, shape (n,), a number each.
        item: int32 codes, shape (n,).
        rewards: float64, shape (n, h), of the feedback objectives in the order of the log; NaN
            where unknown or not final.
        by_itself: the same without what follows, where an objective is a return.
        fold: int64, shape (n,), of each row's user; member k learns from the other folds.
        statistics_fold: of each row's user: its item statistics leave that share out.
        factors_fold: of each row's user: its item factors leave that share out.
        sequence_fold: of each row's user: the network over entries that reads it leaves that share
            out.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int32]
    rewards: NDArray[np.float64]
    by_itself: NDArray[np.float64]
    fold: NDArray[np.int64]
    statistics_fold: NDArray[np.int64]
    factors_fold: NDArray[np.int64]
    sequence_fold: NDArray[np.int64]

    @classmethod
    def of(cls, log: BanditLog, settings: BehaviourSettings) -> Outcomes:
        """Those of a log's decisions, in their order."""
        columns = [j for j, o in enumerate(log.objectives) if o.source == "feedback"]
        user = log.decisions.user
        return cls(
            user=group(user)[1],
            item=log.decisions.candidates.values[log.shown],
            rewards=np.where(log.final[:, columns], log.rewards[:, columns], np.nan),
            by_itself=log.by_itself.known[:, columns],
            fold=user_folds(user, settings.folds, crc()),
            statistics_fold=user_folds(user, settings.statistics_folds, crc("statistics")),
            factors_fold=user_folds(user, settings.history.folds, crc("factors")),
            sequence_fold=user_folds(user, settings.sequence.folds, crc("sequence")),
        )

    def outside(self, fold: int, sequence_fold: int | None = None) -> NDArray[np.bool_]:
        """Rows of users in neither fold, bool, shape (n,); None: whatever the second."""
        kept: NDArray[np.bool_] = self.fold != fold
        return kept if sequence_fold is None else kept & (self.sequence_fold != sequence_fold)


@dataclass(frozen=True)
class Each(Generic[A, B]):
    """``function`` of each of some parts, made anew at each pass: one is in memory at a time."""

    parts: Iterable[A]
    function: Callable[[A], B]

    def __iter__(self) -> Iterator[B]:
        return map(self.function, self.parts)
