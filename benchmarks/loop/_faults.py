"""The three bad nights: what the system's own log or model gets wrong, never the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.loop._challengers import Challenger
from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.objectives import north_star
from mrlm.policies.contract import Scorer
from mrlm.policies.tuned import Tuned

Fault = Literal["wrong propensities", "reversed label", "broken head"]
Faults = Mapping[int, Fault]
"""Night, from 0, to what goes wrong on it."""

# In one week, where what the one leaves behind meets the next.
PLANTED: Faults = {13: "wrong propensities", 15: "reversed label", 17: "broken head"}
QUICK_PLANTED: Faults = {6: "wrong propensities", 7: "reversed label", 8: "broken head"}


def as_logged(log: BanditLog, fault: Fault | None) -> BanditLog:
    """The log of a night as the system wrote it.

    Wrong propensities are joined to the next candidate of the same set: they are shares that sum
    to 1. A reversed label is 1 where the north star is 0, and 0 where it is 1.
    """
    if fault == "wrong propensities":
        offsets = log.decisions.offsets
        before = np.arange(offsets[-1]) - 1
        before[offsets[:-1]] = offsets[1:] - 1
        wrong = log.candidate_propensity[before]
        return replace(log, candidate_propensity=wrong, propensity=wrong[log.shown])
    if fault == "reversed label":
        rewards = log.rewards.copy()
        star = log.column(north_star(log.objectives).name)
        rewards[:, star] = 1.0 - rewards[:, star]
        return replace(log, rewards=rewards)
    return log


def as_saved(found: Challenger, fault: Fault | None) -> Challenger:
    """The challenger as it is served and judged: a broken head turns after the weights are chosen.

    A challenger that is the champion itself has nothing of tonight in it.
    """
    policy = found.policy
    if fault != "broken head" or not isinstance(policy, Tuned) or found.model not in policy.scorers:
        return found
    scorers = tuple(TurnedHead(s, found.model.north_star) for s in policy.scorers)
    return replace(found, policy=replace(policy, scorers=scorers))


@dataclass(frozen=True)
class TurnedHead:
    """A scorer one of whose heads has the wrong sign."""

    scorer: Scorer
    head: str

    @property
    def kind(self) -> str:
        """As of the scorer."""
        return self.scorer.kind

    @property
    def columns(self) -> tuple[str, ...]:
        """As of the scorer."""
        return self.scorer.columns

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        """What the scorer says, with one column turned."""
        return np.where([c == self.head for c in self.columns], -1.0, 1.0) * self.scorer.score(
            decisions
        )

    def save(self, folder: Path) -> None:
        """As the scorer: only what is served is broken."""
        self.scorer.save(folder)
