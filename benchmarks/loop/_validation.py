"""Validation of a night in memory: what is asked of its propensities, by the library's rule."""

from __future__ import annotations

from benchmarks._demonstration import settings
from mrlm.bandit_log import BanditLog
from mrlm.log_checks.show_counts import HALF, count_shows
from mrlm.log_checks.show_faults import show_faults
from mrlm.log_checks.shows import ShowLimits


def reason_to_stop(log: BanditLog) -> str:
    """Why validation stops a night, in words; empty where it does not.

    Args:
        log: of one night, with the propensities of all candidates.
    """
    asked, decisions = settings().validation, log.decisions
    counts = count_shows(
        decisions.candidates,
        log.candidate_propensity,
        log.shown - decisions.offsets[:-1],
        {
            "position": decisions.position.astype(str).astype(object),
            "scene": decisions.scene,
            HALF: (decisions.request % 2).astype(str).astype(object),
        },
        decisions.catalog.item_id,
        sum_tolerance=asked.propensity_sum_tolerance,
    )
    limits = ShowLimits(asked.shows_error, asked.shows_tolerance)
    told = [str(f.told) for f in show_faults(counts, limits) if f.certain]
    return told[0] if told else ""
