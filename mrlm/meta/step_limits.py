"""What a step away from the champion must keep to, each limit with its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.objective import PairedLift
from mrlm.meta.policy import TunedSoftmax, Vector
from mrlm.meta.problem import TuningProblem


class Limit(Protocol):
    """What every permitted point keeps to."""

    @property
    def name(self) -> str:
        """What binds where this one does, in words."""
        ...

    def slack(self, point: Vector) -> tuple[float, Vector]:
        """How far a point is inside, in units of about 1, and the gradient, shape (1 + f,).

        Below 0 the point is not permitted.
        """
        ...


@dataclass(frozen=True)
class DivergenceCap:
    """Mean KL(policy || champion) of at most ``cap`` nats."""

    policy: TunedSoftmax
    cap: float

    @property
    def name(self) -> str:
        """The cap in words."""
        return f"the KL cap of {self.cap:g} nats"

    def slack(self, point: Vector) -> tuple[float, Vector]:
        """(cap - KL) / cap, and its gradient."""
        kl, gradient = self.policy.divergence(point)
        return (self.cap - kl) / self.cap, -gradient / self.cap


class EffectiveSampleSize:
    """Kish's (sum w)^2 / sum w^2 of w = pi(shown) / propensity, of rounds with a known reward.

    What is needed is never more than the champion has: it stays permitted.

    Args:
        problem: rounds of the tune nights.
        policy: of the same problem.
        used: bool, shape (n,), rounds that count.
        least: what is asked for, in rounds.
    """

    def __init__(
        self, problem: TuningProblem, policy: TunedSoftmax, used: NDArray[np.bool_], least: float
    ) -> None:
        self._policy = policy
        self._shown = problem.shown[used]
        self._propensity = problem.propensity[used]
        self._rounds = len(self._shown)
        self._candidates = len(problem.log_anchor)
        self.least = min(least, self.of(policy.champion_point))

    @property
    def name(self) -> str:
        """The floor in words."""
        return f"an effective sample size of {self.least:.0f} of {self._rounds} decisions"

    def of(self, point: Vector) -> float:
        """The effective sample size at a point, in rounds."""
        weight = self._weights(point)
        return float(weight.sum() ** 2 / (weight @ weight))

    def slack(self, point: Vector) -> tuple[float, Vector]:
        """Logarithm of the effective sample size over what is needed, and its gradient."""
        weight = self._weights(point)
        total, square = float(weight.sum()), float(weight @ weight)
        by_probability = np.zeros(self._candidates)
        by_probability[self._shown] = 2 * (1 / total - weight / square) / self._propensity
        slack = float(np.log(total**2 / square / self.least))
        return slack, self._policy.pull_back(point, by_probability)

    def _weights(self, point: Vector) -> Vector:
        weight: Vector = self._policy.probabilities(point)[self._shown] / self._propensity
        return weight


@dataclass(frozen=True)
class GuardrailFloor:
    """The lower bound of a guardrail's change is at least minus its margin."""

    lift: PairedLift
    margin: float
    z: float

    @property
    def name(self) -> str:
        """The guardrail in words."""
        return f"the guardrail {self.lift.name}"

    def slack(self, point: Vector) -> tuple[float, Vector]:
        """Lower bound + margin over the lift's resolution, and its gradient."""
        lower, gradient = self.lift.lower_bound(point, self.z)
        return (lower + self.margin) / self.lift.resolution, gradient / self.lift.resolution
