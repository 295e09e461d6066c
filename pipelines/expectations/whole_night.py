"""Expectations on a night as a whole: numbers alone, so that they can be tried without a night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mrlm.log_checks.shapes import NightShape, drifts
from mrlm.log_checks.show_counts import ShowCounts
from mrlm.log_checks.show_faults import show_faults
from mrlm.log_checks.shows import ShowLimits
from pipelines.expectations.arms import arm_rules, sample_ratios
from pipelines.expectations.night_shape import drift_rules, drift_statistics, shapes_of
from pipelines.expectations.show_rules import show_rules, show_statistics
from pipelines.expectations.suite import Rule
from pipelines.settings.validation import Validation


def whole_night(
    shows: ShowCounts,
    arms: Mapping[str, float],
    shape: NightShape,
    trailing: Sequence[Mapping[str, Any]],
    settings: Validation,
) -> tuple[dict[str, Any], list[Rule]]:
    """Statistics of a night's impressions, and what they must satisfy.

    Args:
        shows: beside propensities.
        arms: users of each policy; empty where there is nothing to compare.
        shape: histograms and rates.
        trailing: statistics of earlier nights that passed.
        settings: thresholds.
    """
    limits = ShowLimits(settings.shows_error, settings.shows_tolerance)
    faults = show_faults(shows, limits)
    ratios = sample_ratios(arms, trailing, settings) if arms or settings.arm_shares else {}
    shapes = shapes_of(trailing)
    moved = drifts(shape, shapes)
    found = {
        **show_statistics(faults, shows, limits),
        **{name: ratio.chance for name, ratio in ratios.items()},
        **drift_statistics(moved),
        "arms": dict(arms),
        "shape": shape.to_json(),
    }
    rules = [
        *show_rules(faults, limits),
        *arm_rules(ratios, settings),
        *drift_rules(shape, shapes, moved),
    ]
    return found, rules
