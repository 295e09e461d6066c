"""Estimate: a value with its interval and the verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.checks import check_between_0_and_1
from mrlm.ope.intervals.contract import Interval
from mrlm.ope.intervals.influence import user_influence, users
from mrlm.ope.intervals.student import (
    Moments,
    Student,
    degrees_of_freedom,
    ends,
    limit_by_weights,
)
from mrlm.ope.plain import finite
from mrlm.ope.scores import ratio_value
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.certify import Certificate, Thresholds, certify
from mrlm.ope.verdict.diagnostics import Diagnostics, diagnostics

if TYPE_CHECKING:
    from mrlm.ope.state.folded import FoldedState


@dataclass(frozen=True)
class Estimate:
    """The value of a policy, or of a difference, with its interval and the verdict on it.

    Attributes:
        policy: name of the policy, or ``first - second``.
        objective: name of the objective.
        estimator: name of the estimator.
        value: the estimate, in units of the objective; NaN where nothing can be estimated.
        standard_error: of the value.
        degrees_of_freedom: of the t quantile, at most users less one.
        skewness: third cumulant of the estimate over its standard error cubed.
        level: two-sided level of the interval.
        lower: lower end.
        upper: upper end.
        rows: rounds used.
        users: users among them.
        certificate: whether the interval may be believed; it travels with the numbers.
        diagnostics: what the verdict rests on, one for each policy.
        interval: name of the interval.
        estimand: what the value is of, see ``mrlm.ope.estimand``.
    """

    policy: str
    objective: str
    estimator: str
    value: float
    standard_error: float
    degrees_of_freedom: float
    skewness: float
    level: float
    lower: float
    upper: float
    rows: int
    users: int
    certificate: Certificate
    diagnostics: tuple[Diagnostics, ...]
    interval: str = Student.name
    estimand: str = "per decision"

    @property
    def certified(self) -> bool:
        """Whether the interval covers the policy's value at its level."""
        return self.certificate.certified

    def at(self, level: float) -> Estimate:
        """The same estimate with a two-sided interval of another level.

        Raises:
            ValueError: the interval is not Student's t, whose numbers the estimate keeps.
        """
        lower, upper = self._ends((1 + level) / 2)
        return replace(self, level=level, lower=lower, upper=upper)

    def to_json(self) -> dict[str, str | int | float | bool | None]:
        """Value, interval and verdict; None for what is not a finite number."""
        numbers = {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "standard_error": self.standard_error,
            "degrees_of_freedom": self.degrees_of_freedom,
            "skewness": self.skewness,
        }
        return {
            "policy": self.policy,
            "objective": self.objective,
            "estimator": self.estimator,
            "estimand": self.estimand,
            **{k: finite(v) for k, v in numbers.items()},
            "level": self.level,
            "interval": self.interval,
            "rows": self.rows,
            "users": self.users,
            "certified": self.certificate.certified,
            "reason": self.certificate.reason,
            "rows_needed": self.certificate.rows_needed,
        }

    def _ends(self, quantile: float) -> tuple[float, float]:
        if self.interval != Student.name:
            raise ValueError(
                f"an interval of kind {self.interval!r} has no other level without the log's "
                "sums; call estimates(state, level, interval=...)"
            )
        return ends(
            self.value, self.standard_error, self.degrees_of_freedom, self.skewness, quantile
        )


def estimates(
    state: EvaluationState,
    level: float = 0.95,
    thresholds: Thresholds | None = None,
    interval: Interval | None = None,
) -> dict[str, Estimate]:
    """Estimate of each objective, by name, with a two-sided interval of ``level``.

    The standard error is the linearised one of a ratio of sums, clustered by user. The interval is
    Student's t (``mrlm.ope.intervals.student``) unless another of the family is given. An interval
    whose level holds at every sample size needs true propensities and support only; the others
    also need what ``Thresholds`` says, and so does every interval of scores that were fitted or
    selected on the same log (``Scores.fitted``).

    Raises:
        ValueError: the level is not in (0, 1), or the interval is not for such an estimate.

    Examples:
        >>> import numpy as np
        >>> from mrlm import ESTIMATORS, EvaluationBatch, EvaluationState, Uniform
        >>> from mrlm import estimates, latent_log
        >>> log, truth = latent_log(n_users=200, decisions_per_user=10, n_candidates=8, seed=1)
        >>> target = np.exp(Uniform().log_probabilities(log.decisions))
        >>> batch = EvaluationBatch.from_log(log, target, policy="uniform")
        >>> like = estimates(EvaluationState.of(ESTIMATORS["snips"](batch)))["like"]
        >>> f"{like.value:.3f} [{like.lower:.3f}, {like.upper:.3f}]"
        '0.453 [0.421, 0.485]'
        >>> like.certified
        True
        >>> f"{target @ truth[:, 0] / len(log):.3f}"  # the truth, which only a made world knows
        '0.466'
    """
    check_between_0_and_1("level", level)
    kind: Interval = interval if interval is not None else Student()
    found = diagnostics(state)
    value = ratio_value(state.numerator.sum(0), state.denominator.sum(0), state.signs)
    moments = Moments.of(user_influence(state), users(state))
    freedom = degrees_of_freedom(moments, limit_by_weights(state))
    lower, upper = kind(state, level)
    numbers = Numbers(value, moments.standard_error, freedom, moments.skewness, lower, upper)
    finite_sample = kind.finite_sample and not state.fitted
    return judged(state, numbers, found, level, thresholds, kind.name, finite_sample)


@dataclass(frozen=True)
class Numbers:
    """The numbers of ``Estimate``, each float64, shape (m,), one an objective."""

    value: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    degrees_of_freedom: NDArray[np.float64]
    skewness: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def judged(
    state: EvaluationState | FoldedState,
    numbers: Numbers,
    found: Mapping[str, tuple[Diagnostics, ...]],
    level: float,
    thresholds: Thresholds | None = None,
    interval: str = Student.name,
    finite_sample: bool = False,
) -> dict[str, Estimate]:
    """Estimate of each objective, by name, with the verdict on its numbers.

    Args:
        state: whose names count.
        numbers: of the m objectives.
        found: diagnostics by objective.
        level: two-sided.
        thresholds: what an interval needs before it is certified.
        interval: name of the interval.
        finite_sample: see ``certify``.
    """
    out = {}
    for j, (name, overlap) in enumerate(found.items()):
        mine = {k: float(v[j]) for k, v in vars(numbers).items()}
        out[name] = Estimate(
            policy=" - ".join(state.policies),
            objective=name,
            estimator=state.estimator,
            level=level,
            rows=overlap[0].rows,
            users=overlap[0].users,
            certificate=certify(
                state.estimator,
                state.covers_policy_value,
                overlap,
                thresholds or Thresholds(),
                finite_sample,
                numbers={
                    "value": mine["value"],
                    "standard error": mine["standard_error"],
                    "lower end": mine["lower"],
                    "upper end": mine["upper"],
                },
            ),
            diagnostics=overlap,
            interval=interval,
            estimand=state.estimand,
            **mine,
        )
    return out


def bound(estimate: Estimate, level: float) -> float:
    """One-sided lower bound that the true value exceeds with probability ``level``.

    NaN where there is no standard error. The caller looks at ``estimate.certified`` first.

    Raises:
        ValueError: the level is not in (0, 1), or the interval is not Student's t.
    """
    check_between_0_and_1("level", level)
    return estimate.at(2 * level - 1).lower
