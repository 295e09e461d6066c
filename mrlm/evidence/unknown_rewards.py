"""What rewards that were not delivered could change: the worst that an estimate could be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Objective
from mrlm.bandit_log.sessions.later_requests import LaterRequests

# Rewards that a slot with the event can have, where not 0 and 1 both.
_WITH_EVENT = {"any": [1.0], "none": [0.0]}


@dataclass(frozen=True)
class UnknownRewards:
    """Rewards of n decisions and m objectives, and what may lie behind the unknown ones.

    They are what each decision brought by itself, also where an objective is a return.

    Attributes:
        rewards: float64, shape (n, m), the final ones; NaN elsewhere.
        unknown: bool, shape (n, m), where any value of ``low`` to ``high`` is possible.
        silent: bool, shape (n, m), final and without an event: a lost one may belong there.
        lost: int64, shape (n, m), events lost on the decision's night, the same on all its rows.
        night: shape (n,).
        low: float64, shape (m,), smallest value of each reward.
        high: float64, shape (m,), largest value.
        discount: float64, shape (m,), of the rewards that follow; 0 where none count.
        later: what follows what; None where no objective is a return.
    """

    rewards: NDArray[np.float64]
    unknown: NDArray[np.bool_]
    silent: NDArray[np.bool_]
    lost: NDArray[np.int64]
    night: NDArray[Any]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    discount: NDArray[np.float64]
    later: LaterRequests | None

    @classmethod
    def of(cls, log: BanditLog) -> UnknownRewards | None:
        """Those of a log; None where every reward that is not open is known.

        The values that a reward can have are 0 and 1 where it says whether something happened, and
        else reach from the smallest to the largest one that the log holds.
        """
        if not (log.unknown.any() or log.lost.any()):
            return None
        own = log.by_itself
        rewards = own.known
        ranges = [_range(o, rewards[:, j]) for j, o in enumerate(log.objectives)]
        missing = np.array([np.nan if o.missing is None else o.missing for o in log.objectives])
        nothing = np.isnan(rewards) | (rewards == missing)
        return cls(
            rewards=rewards,
            unknown=own.unknown,
            silent=own.final & nothing & (log.lost > 0),
            lost=log.lost,
            night=log.night,
            low=np.array([r[0] for r in ranges]),
            high=np.array([r[1] for r in ranges]),
            discount=np.array([o.discount for o in log.objectives]),
            later=None if log.own is None else LaterRequests.of(log),
        )

    def at_worst(self, coefficient: NDArray[np.float64], side: int) -> NDArray[np.float64]:
        """Rewards that make a sum of ``coefficient`` times reward as small or large as it can be.

        Every unknown reward takes the end of its range that moves the sum furthest. Of the silent
        decisions of a night at most as many as events were lost get one: those that move it most.
        In a return a reward moves the sum by its own decision and by those before it.

        Args:
            coefficient: float64, shape (n,), such as an importance weight.
            side: -1 for the smallest sum, 1 for the largest.

        Returns:
            float64, shape (n, m).
        """
        out = self.rewards.copy()
        for j in range(out.shape[1]):
            toward = side * self._reach(coefficient, j)
            furthest = np.where(toward > 0, self.high[j], self.low[j])
            out[self.unknown[:, j], j] = furthest[self.unknown[:, j]]
            silent = np.flatnonzero(self.silent[:, j])
            for night in np.unique(self.night[silent]):
                rows = silent[self.night[silent] == night]
                # A decision without a reward enters the mean: what it moves is its distance.
                base = np.nan_to_num(self.rewards[rows, j], nan=self._middle(j))
                gain = toward[rows] * (furthest[rows] - base)
                most = rows[np.argsort(-gain, kind="stable")][: int(self.lost[rows[0], j])]
                moved = most[np.sort(gain)[::-1][: len(most)] > 0]
                out[moved, j] = furthest[moved]
            out[:, j] = self._returns(out[:, j], j)
        return out

    def counts(self, objectives: tuple[Objective, ...]) -> dict[str, dict[str, int]]:
        """Objective to ``{known, unknown, lost}``, of those that have unknown or lost ones."""
        found = {}
        first = np.unique(self.night, return_index=True)[1]
        for j, objective in enumerate(objectives):
            missing = self._returns(self.unknown[:, j].astype(np.float64), j) > 0
            unknown, lost = int(missing.sum()), int(self.lost[first, j].sum())
            if unknown or lost:
                final = int((~np.isnan(self._returns(self.rewards[:, j], j))).sum())
                found[objective.name] = {"known": final, "unknown": unknown, "lost": lost}
        return found

    def _reach(self, coefficient: NDArray[np.float64], j: int) -> NDArray[np.float64]:
        if self.later is None or not self.discount[j]:
            return coefficient
        return self.later.reach(coefficient, float(self.discount[j]))

    def _returns(self, rewards: NDArray[np.float64], j: int) -> NDArray[np.float64]:
        if self.later is None or not self.discount[j]:
            return rewards
        return self.later.returns(rewards, float(self.discount[j]))

    def _middle(self, j: int) -> float:
        known = self.rewards[:, j]
        return float(np.nanmean(known)) if (~np.isnan(known)).any() else 0.0


def _range(objective: Objective, rewards: NDArray[np.float64]) -> tuple[float, float]:
    known = rewards[~np.isnan(rewards)]
    ends = [] if objective.missing is None else [objective.missing]
    if objective.source == "feedback" and objective.transform != "value":
        ends += _WITH_EVENT.get(objective.transform, [0.0, 1.0])
    else:
        ends += [known.min(), known.max()] if len(known) else [0.0]
    return float(min(ends)), float(max(ends))
