"""Logs whose missing propensities are estimated before anything is learned or evaluated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrlm.bandit_log import BanditLog
from pipelines.contract.context import NightContext
from pipelines.failures.errors import DataError
from pipelines.nights.lake import read_logs

if TYPE_CHECKING:
    from mrlm.ope.batch import EvaluationBatch
    from mrlm.ope.propensity import EstimatedPropensities


def read_completed(
    context: NightContext, nights: list[str]
) -> tuple[BanditLog, EstimatedPropensities | None]:
    """The bandit log of these nights with a propensity in every row.

    Returns:
        The log; and what is known of the estimates, None where every propensity was logged.

    Raises:
        DataError: propensities are missing and cannot be estimated.
    """
    log, found = completed(read_logs(context, nights))
    if found is not None:
        context.log("propensities").warning(
            "%s: %.1f %% of the propensities are estimated (log loss %.3f, uniform %.3f)",
            ", ".join(nights),
            100 * float(found.estimated.mean()),
            found.log_loss,
            found.uniform_log_loss,
        )
    return log, found


def completed(log: BanditLog) -> tuple[BanditLog, EstimatedPropensities | None]:
    """The log with estimates in place of missing propensities; see ``read_completed``.

    Cross-fitted by user and calibrated; candidate propensities that were logged stay.

    Raises:
        DataError: they cannot be estimated.
    """
    if not np.isnan(log.propensity).any():
        return log, None
    from mrlm.ope.propensity import estimate_propensities
    from mrlm.policies.logger_features import logger_features

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
        raise DataError(
            f"propensities are missing and cannot be estimated: {error}. Have the logger write "
            'them, or set ingestion.propensity = "logged", which leaves such rows out'
        ) from error
    whole = np.logical_and.reduceat(np.isfinite(log.candidate_propensity), decisions.offsets[:-1])
    logged = np.repeat(whole & ~found.estimated, np.diff(decisions.offsets))
    candidate = np.where(logged, log.candidate_propensity, found.candidate_propensity)
    filled = replace(log, propensity=found.propensity, candidate_propensity=candidate)
    return filled, replace(found, candidate_propensity=candidate)


def estimated_report(batch: EvaluationBatch, found: EstimatedPropensities) -> dict[str, Any]:
    """Quality of the estimates, and the policy's value under hidden confounding, as plain JSON."""
    from mrlm.ope.propensity import sensitivity_bounds

    bounds = [b.to_json() for b in sensitivity_bounds(batch)]
    return {**found.to_json(), "bounds": bounds}
