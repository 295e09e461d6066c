"""Estimates in the place of missing propensities, and what is known of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.ope.batch import EvaluationBatch
    from mrlm.ope.propensity import EstimatedPropensities


def completed(log: BanditLog) -> tuple[BanditLog, EstimatedPropensities | None]:
    """The log with an estimate in the place of every missing propensity.

    Estimates are cross-fitted by user and calibrated; candidate propensities that were logged stay.

    Returns:
        The log; and what is known of the estimates, None where every propensity was logged.

    Raises:
        ValueError: propensities are missing and cannot be estimated.
    """
    if not np.isnan(log.propensity).any():
        return log, None
    from mrlm.ope.propensity import estimate_propensities
    from mrlm.policies.loggers.logger_features import logger_features

    decisions = log.decisions
    item = np.unique(decisions.candidates.values, return_inverse=True)[1].astype(np.int64)
    try:
        found = estimate_propensities(
            logger_features(decisions),
            decisions.offsets,
            log.shown,
            decisions.user,
            item,
            log.propensity,
        )
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"propensities are missing and cannot be estimated: {error}") from error
    whole = np.logical_and.reduceat(np.isfinite(log.candidate_propensity), decisions.offsets[:-1])
    logged = np.repeat(whole & ~found.estimated, np.diff(decisions.offsets))
    candidate = np.where(logged, log.candidate_propensity, found.candidate_propensity)
    filled = replace(log, propensity=found.propensity, candidate_propensity=candidate)
    return filled, replace(found, candidate_propensity=candidate)


def estimated_report(batch: EvaluationBatch, found: EstimatedPropensities) -> dict[str, Any]:
    """Quality of the estimates, and the policy's value under hidden confounding, as plain JSON.

    Args:
        batch: the completed log with the policy's probabilities.
        found: of the same log.
    """
    from mrlm.ope.propensity import sensitivity_bounds

    bounds = [b.to_json() for b in sensitivity_bounds(batch)]
    return {**found.to_json(), "bounds": bounds}
