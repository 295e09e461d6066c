"""A log without propensities, made fit for evaluation in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Estimator
from mrlm.ope.propensity.estimated import (
    CalibrationMethod,
    EstimatedPropensities,
    estimate_propensities,
)
from mrlm.ope.propensity.flag import flagged
from mrlm.ope.propensity.sensitivity import SensitivityBound, sensitivity_bounds
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class CompletedLog:
    """A batch whose missing propensities are estimates, and how far these may be trusted.

    Attributes:
        batch: the rounds with all propensities.
        propensities: the estimates, their calibration and overlap.
        bounds: the self-normalised value of the policy under hidden confounding, by objective and
            Gamma.
        no_hidden_confounding: whether the caller knows that the logger saw only the features.
    """

    batch: EvaluationBatch
    propensities: EstimatedPropensities
    bounds: tuple[SensitivityBound, ...]
    no_hidden_confounding: bool

    def scores(self, estimator: Estimator) -> Scores:
        """Scores of the batch, flagged where a propensity is an estimate.

        Raises:
            ValueError: as for the estimator.
        """
        scores = estimator(self.batch)
        if not self.propensities.any_estimated:
            return scores
        return flagged(scores, self.no_hidden_confounding)

    def to_json(self) -> dict[str, Any]:
        """The propensities' report and the bounds."""
        return self.propensities.to_json() | {
            "no_hidden_confounding": self.no_hidden_confounding,
            "bounds": [b.to_json() for b in self.bounds],
        }


def complete(
    batch: EvaluationBatch,
    missing: NDArray[np.bool_],
    features: NDArray[np.float64],
    item: NDArray[np.int64] | None = None,
    *,
    no_hidden_confounding: bool = False,
    gammas: Sequence[float] = (1.0, 1.25, 1.5, 2.0, 3.0),
    level: float = 0.95,
    draws: int = 500,
    ridge: float = 1.0,
    folds: int = 5,
    calibrate: CalibrationMethod = "temperature",
) -> CompletedLog:
    """Estimate, cross-fit and calibrate missing propensities, test overlap, bound confounding.

    Args:
        batch: n rounds with N candidates; where ``missing``, any propensity in (0, 1], say 1.
        missing: bool, shape (n,), where the log has no propensity.
        features: float64, shape (N, d), see ``estimate_propensities``.
        item: int64, shape (N,), code of each candidate's item, for an intercept an item.
        no_hidden_confounding: whether it is known that the logger saw only the features (and the
            item); intervals are certified only then.
        gammas: strengths of confounding, see ``sensitivity_bounds``.
        level: two-sided level of the bounds' intervals.
        draws: bootstrap draws of the bounds.
        ridge: see ``fit_logit``.
        folds: of users.
        calibrate: see ``estimate_propensities``.

    Raises:
        ValueError: shapes differ, something is out of range, or there are too few users.
        RuntimeError: a model did not converge.
    """
    if missing.shape != (len(batch),):
        raise ValueError(f"missing must have shape ({len(batch)},); got {missing.shape}")
    found = estimate_propensities(
        features,
        batch.offsets,
        batch.shown,
        batch.cluster,
        item,
        np.where(missing, np.nan, batch.propensity),
        ridge=ridge,
        folds=folds,
        calibrate=calibrate,
    )
    completed = found.apply(batch)
    bounds = sensitivity_bounds(completed, gammas, level, draws)
    return CompletedLog(completed, found, bounds, no_hidden_confounding)
