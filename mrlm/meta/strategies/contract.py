"""What every strategy offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.search.tuning_task import TuningTask


@dataclass(frozen=True)
class Proposal:
    """A point, and why.

    Attributes:
        point: (kappa, theta), float64, shape (1 + f,); the champion's where nothing is proposed.
        moved: whether it differs from the champion's.
        reason: in one sentence.
        z: standard errors in the lower bound that the choice went by; 0 where it went by none.
        evaluations: number of points looked at.
        limited_by: what held the step back, in words.
    """

    point: Vector
    moved: bool
    reason: str
    z: float = 0.0
    evaluations: int = 0
    limited_by: tuple[str, ...] = ()


class Strategy(Protocol):
    """Chooses a point on the rounds of the tune nights; a pure function of its arguments."""

    @property
    def name(self) -> str:
        """As settings name it."""
        ...

    def propose(self, task: TuningTask, previous: Vector | None, seed: int) -> Proposal:
        """A point that every limit of the task permits, or the champion's.

        Args:
            task: rounds, target, space and limits.
            previous: last night's (kappa, theta), shape (1 + f,); None on the first night.
            seed: of what is random.
        """
        ...
