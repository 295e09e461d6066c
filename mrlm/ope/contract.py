"""The contract of the estimators' family."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores, one_ratio


@dataclass(frozen=True)
class Properties:
    """What holds for an estimator; the conformance test asserts each field, true or false.

    Attributes:
        unbiased: its expectation over the logger's choices is the policy's value, exactly, when
            the propensities are true and the logger supports the target.
        covers_policy_value: its interval is one for the policy's value; False for an estimator
            whose bias does not vanish as the log grows.
        on_policy_identity: where the target is the logger, it is the mean of the rewards.
        shift_equivariant: adding c to the rewards, and to q, adds c.
        scale_equivariant: multiplying the rewards, and q, by c multiplies by c.
        constant_reward_zero_width: rewards that are all c, whatever q, give c with no width.
    """

    unbiased: bool
    covers_policy_value: bool
    on_policy_identity: bool
    shift_equivariant: bool
    scale_equivariant: bool
    constant_reward_zero_width: bool

    @classmethod
    def weighted(cls, self_normalised: bool, covers_policy_value: bool) -> Properties:
        """Those of rewards at importance weights, over 1 or over the mean weight."""
        return cls(
            unbiased=not self_normalised,
            covers_policy_value=covers_policy_value,
            on_policy_identity=True,
            shift_equivariant=self_normalised,
            scale_equivariant=True,
            constant_reward_zero_width=self_normalised,
        )


@runtime_checkable
class Estimator(Protocol):
    """A pure function from logged rounds and a target policy to round scores."""

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        ...

    @property
    def needs_q(self) -> bool:
        """Whether it needs predicted rewards of every candidate."""
        ...

    @property
    def properties(self) -> Properties:
        """What holds for it."""
        ...

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: it needs predictions and the batch has none.
        """
        ...


@runtime_checkable
class IterativeEstimator(Estimator, Protocol):
    """An estimator with numbers fitted to the whole log in a few passes.

    Called before it is fitted, it is fitted to the batch that it is given.
    """

    def fit(self, batches: Callable[[], Iterable[EvaluationBatch]]) -> Estimator:
        """The estimator with its numbers fitted; ``batches()`` starts one more pass."""
        ...


def ratio_scores(
    estimator: Estimator,
    batch: Rounds,
    numerator: NDArray[np.float64],
    denominator: NDArray[np.float64] | None = None,
    *,
    name: str | None = None,
    fitted: bool = False,
) -> Scores:
    """Scores of an estimator that is one ratio of sums, or a mean over rounds.

    Args:
        estimator: says whether its interval is one for the policy's value.
        batch: n rounds of m objectives.
        numerator: float64, shape (n, m).
        denominator: float64, broadcast to (n, m); None for the mean, 1 everywhere.
        name: of the scores, where it is not the estimator's.
        fitted: see ``Scores``.
    """
    return one_ratio(
        estimator.name if name is None else name,
        estimator.properties.covers_policy_value,
        batch,
        numerator,
        np.ones_like(numerator) if denominator is None else denominator,
        fitted,
    )


def fit(estimator: Estimator, batches: Callable[[], Iterable[EvaluationBatch]]) -> Estimator:
    """The estimator ready for any batch of this log, so that all its scores add up.

    Args:
        estimator: any member of the family.
        batches: gives all batches of the log, in any order, each time it is called.
    """
    return estimator.fit(batches) if isinstance(estimator, IterativeEstimator) else estimator
