"""What a step away from the champion must keep to, each limit with its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlm.messages.message import Message
from mrlm.meta.problem.contract import EstimatedLift
from mrlm.meta.problem.tuned_softmax import Slope, TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem


class Limit(Protocol):
    """What every permitted point keeps to."""

    @property
    def name(self) -> str:
        """What binds where this one does, in words."""
        ...

    def slack(self, point: Vector) -> tuple[float, Slope]:
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
        return Message("the KL cap of {cap:g} nats", cap=self.cap)

    def slack_of(self, probabilities: Vector) -> float:
        """(cap - KL) / cap of any policy of these rounds, probabilities of shape (N,)."""
        return (self.cap - self.policy.divergence_of(probabilities)) / self.cap

    def slack(self, point: Vector) -> tuple[float, Slope]:
        """(cap - KL) / cap, and its gradient."""
        kl, slope = self.policy.divergence(point)
        return (self.cap - kl) / self.cap, lambda: -slope() / self.cap


class EffectiveSampleSize:
    """Kish's (sum w)^2 / sum w^2 of rounds with a known reward.

    w is pi(shown) / propensity, times the round's weight where older nights count less.

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
        self._counts = problem.weight[used]
        self._rounds = len(self._shown)
        self._candidates = len(problem.log_anchor)
        self.least = min(least, self.of(policy.champion_point))

    @property
    def name(self) -> str:
        """The floor in words."""
        return Message(
            "an effective sample size of {least:.0f} of {rows} decisions",
            least=self.least,
            rows=self._rounds,
        )

    def of(self, point: Vector) -> float:
        """The effective sample size at a point, in rounds."""
        return self.of_probabilities(self._policy.probabilities(point))

    def of_probabilities(self, probabilities: Vector) -> float:
        """The effective sample size of any policy of these rounds, probabilities of shape (N,)."""
        weight = self._weights(probabilities)
        return float(weight.sum() ** 2 / (weight @ weight))

    def slack(self, point: Vector) -> tuple[float, Slope]:
        """Logarithm of the effective sample size over what is needed, and its gradient."""
        weight = self._weights(self._policy.probabilities(point))
        total, square = float(weight.sum()), float(weight @ weight)

        def slope() -> Vector:
            by_probability = np.zeros(self._candidates)
            by_probability[self._shown] = (
                2 * (1 / total - weight / square) * self._counts / self._propensity
            )
            return self._policy.pull_back(point, by_probability)

        return float(np.log(total**2 / square / self.least)), slope

    def _weights(self, probabilities: Vector) -> Vector:
        weight = probabilities[self._shown] / self._propensity
        return np.asarray(self._counts * weight, np.float64)


class EntropyFloor:
    """Mean entropy of the policy of at least a share of that of uniform shows.

    What is needed is never more than the champion has: it stays permitted.

    Args:
        policy: of the problem.
        share: of uniform's entropy, in [0, 1).
    """

    def __init__(self, policy: TunedSoftmax, share: float) -> None:
        self._policy = policy
        self._uniform = float(np.log(policy.lengths).mean())
        asked = share * self._uniform
        self.least = min(asked, policy.entropy(policy.champion_point)[0])

    @property
    def name(self) -> str:
        """The floor in words."""
        return Message(
            "a mean entropy of {least:.2f} of {uniform:.2f} nats",
            least=self.least,
            uniform=self._uniform,
        )

    def slack_of(self, probabilities: Vector) -> float:
        """(entropy - least) / uniform's of any policy of these rounds, of shape (N,)."""
        return (self._policy.entropy_of(probabilities) - self.least) / (self._uniform or 1.0)

    def slack(self, point: Vector) -> tuple[float, Slope]:
        """(entropy - least) / uniform's, and its gradient."""
        entropy, slope = self._policy.entropy(point)
        scale = self._uniform or 1.0
        return (entropy - self.least) / scale, lambda: slope() / scale


class ExposureFloor:
    """Mean under the policy of an objective that is known for every candidate, at least a target.

    The one limit that the champion may break: exposure is paid for by what a step gains, so where
    the champion has less, a search finds only what keeps the target and is still proven to be
    better, or stays with the champion.

    Args:
        problem: rounds of the tune nights.
        policy: of the same problem.
        name: of the objective.
        target: in its unit.

    Raises:
        ValueError: there is no such objective, or it comes from feedback: what was not shown is
            then unknown.
    """

    def __init__(
        self, problem: TuningProblem, policy: TunedSoftmax, name: str, target: float
    ) -> None:
        known = {o.name: j for j, o in enumerate(problem.objectives) if o.source != "feedback"}
        if name not in known:
            raise ValueError(
                f"tuning.exposure_floors names {name!r}, which is no objective of an item or a "
                f"list; those are: {', '.join(known) or 'none'}"
            )
        self._policy, self.objective = policy, name
        share = np.repeat(problem.weight / problem.weight.sum(), policy.lengths)
        self._value = share * problem.q[:, known[name]]
        self.least = target

    @property
    def name(self) -> str:
        """The floor in words."""
        return Message(
            "a mean {objective} of {least:.3g}", objective=self.objective, least=self.least
        )

    def of_probabilities(self, probabilities: Vector) -> float:
        """The mean of any policy of these rounds, probabilities of shape (N,)."""
        return float(probabilities @ self._value)

    def slack_of(self, probabilities: Vector) -> float:
        """The mean over what is asked for of any policy of these rounds, of shape (N,)."""
        return self.of_probabilities(probabilities) - self.least

    def of(self, point: Vector) -> float:
        """The mean at a point."""
        return float(self._policy.probabilities(point) @ self._value)

    def slack(self, point: Vector) -> tuple[float, Slope]:
        """How far the mean is above what is asked for, and its gradient; exposures are shares."""
        return self.of(point) - self.least, lambda: self._policy.pull_back(point, self._value)


@dataclass(frozen=True)
class LeastBound:
    """The lower bound of a lift, ``z`` standard errors below it, is at least ``least``."""

    lift: EstimatedLift
    least: float
    z: float
    name: str

    def slack(self, point: Vector) -> tuple[float, Slope]:
        """(Lower bound - least) over the lift's resolution, and its gradient."""
        lower, slope = self.lift.lower_bound(point, self.z)
        unit = self.lift.resolution
        return (lower - self.least) / unit, lambda: slope() / unit


def guardrail_floor(lift: EstimatedLift, margin: float, z: float) -> LeastBound:
    """The lower bound of a guardrail's change is at least minus its margin."""
    name = Message("the guardrail {objective}", objective=lift.name)
    return LeastBound(lift, -margin, z, name)


def kept_bound(lift: EstimatedLift, least: float, z: float) -> LeastBound:
    """So much of the lower bound that was found is kept."""
    told = Message("the lower bound of the lift that is kept, {least:.3g}", least=least)
    return LeastBound(lift, least, z, told)
