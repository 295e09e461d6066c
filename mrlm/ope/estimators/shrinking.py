"""What the estimators that shrink importance weights have in common."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Estimator, Properties, ratio_scores
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores

# Biased by what the shrunken weights leave out, so none covers the policy's value.
SHRUNKEN_IPS = Properties(
    unbiased=False,
    covers_policy_value=False,
    on_policy_identity=True,
    shift_equivariant=False,
    scale_equivariant=True,
    constant_reward_zero_width=False,
)
SHRUNKEN_DR = Properties(
    unbiased=False,
    covers_policy_value=False,
    on_policy_identity=False,
    shift_equivariant=True,
    scale_equivariant=True,
    constant_reward_zero_width=False,
)


@runtime_checkable
class ShrinkingEstimator(Estimator, Protocol):
    """IPS, or DR where it needs q, with a function of the weight instead of the weight.

    Its expectation is the policy's value plus E[(weights(w) - w) (r - q)], with q = 0 for IPS.
    """

    def weights(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shrunken weights of importance weights, float64, any shape."""
        ...


def label(estimator: Estimator) -> str:
    """Name with parameters, as in ``clipped_ips(clip=10)``: what the scores are called."""
    parameters = [f"{f.name}={_text(getattr(estimator, f.name))}" for f in _fields(estimator)]
    return f"{estimator.name}({', '.join(parameters)})" if parameters else estimator.name


def score(estimator: ShrinkingEstimator, batch: EvaluationBatch) -> Scores:
    """Scores of a shrinking estimator.

    Raises:
        ValueError: it needs predictions and the batch has none.
    """
    weight = estimator.weights(batch.weight)[:, None]
    offset, residual = parts(batch, estimator.needs_q)
    numerator = offset + weight * residual
    return ratio_scores(estimator, batch, numerator, name=label(estimator))


def parts(batch: Rounds, with_q: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is added to, and what is multiplied by, the weight, both float64, shape (n, m).

    Neither depends on the shrinkage, so one evaluation serves every parameter.

    Raises:
        ValueError: predictions are asked for and the batch has none.
    """
    if not with_q:
        return np.zeros_like(batch.rewards), batch.rewards
    return batch.direct, batch.rewards - batch.shown_predictions


def check_at_least(name: str, value: float, least: float) -> None:
    """Refuse a parameter below its least value, or one that is not a number.

    Raises:
        ValueError: it is.
    """
    if not value >= least:
        raise ValueError(f"{name} must be at least {least:g}; got {value}")


def _fields(estimator: Estimator) -> tuple[Any, ...]:
    return fields(estimator)  # type: ignore[arg-type]


def _text(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)
