"""Expectations on a night's propensities, by what was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mrlm.log_checks.show_counts import NIGHT, ShowCounts
from mrlm.log_checks.show_faults import ShowFault
from mrlm.log_checks.shows import ShowLimits, detectable, detectable_surprise
from mrlm.messages.message import Message
from pipelines.expectations.suite import Rule

# Of the statistics table: faults that may stop a night, and those that may not.
CERTAIN, UNCERTAIN = "show_faults", "show_doubts"


def show_statistics(
    faults: Sequence[ShowFault], counts: ShowCounts, limits: ShowLimits
) -> dict[str, float | None]:
    """Numbers of faults, and what would have been found, for the statistics table.

    Keys: ``show_faults``, ``show_doubts``; ``show_ratio_found`` and ``show_expected``, the smallest
    ratio of shows to their expectation that is found with 80 % power in the item that expects most
    shows, and what it expects; ``log_propensity_shift_found``, the same for a shift of the night's
    mean log propensity, in nats; None where there is nothing to compute from.
    """
    certain = sum(f.certain for f in faults)
    found: dict[str, float | None] = {
        CERTAIN: float(certain),
        UNCERTAIN: float(len(faults) - certain),
        "show_ratio_found": None,
        "show_expected": None,
        "log_propensity_shift_found": None,
    }
    night = next((c for c in counts.cells if c.kind == NIGHT), None)
    if night is not None and len(night.item):
        k = int(np.argmax(night.expected))
        most = night.expected[k : k + 1]
        _, upper = detectable(most, night.slots[k : k + 1], len(night.item), limits)
        groups = 2 * sum(len(s.groups) for s in counts.sums) + 2
        sums = next(s for s in counts.sums if s.kind == NIGHT)
        found |= {
            "show_ratio_found": float(upper[0]),
            "show_expected": float(most[0]),
            "log_propensity_shift_found": float(detectable_surprise(sums, limits, groups)[0]),
        }
    return found


def show_limits(found: Mapping[str, Any]) -> list[str]:
    """What the checks of propensities would have found with 80 % power, in sentences.

    Args:
        found: ``show_statistics``; other keys are left alone.
    """
    if not found.get("show_expected"):
        return [Message("propensities: nothing, no slot logs those of all its candidates")]
    return [
        Message(
            "propensities: an item that expects {shows:.0f} shows, as the most shown one does, "
            "when it is shown {ratio:.2f} times as often",
            shows=found["show_expected"],
            ratio=found["show_ratio_found"],
        ),
        Message(
            "propensities: all of them together, when the shown items' mean log propensity is off "
            "by {shift:.2f}",
            shift=found["log_propensity_shift_found"],
        ),
    ]


def show_rules(faults: Sequence[ShowFault], limits: ShowLimits) -> list[Rule]:
    """One rule a fault, and where there is none the rule that was kept."""
    expected = Message(
        "every item, position, scene, policy and hour is shown as often as its propensities say, "
        "within {tolerance:.0%}; a true night breaks this once in {nights:,.0f}",
        tolerance=limits.tolerance,
        nights=1 / limits.error,
    )
    found = [
        Rule(
            Message("shows follow the propensities ({number})", number=k + 1)
            if k
            else Message("shows follow the propensities"),
            "ExpectColumnValuesToBeBetween",
            {"column": CERTAIN if fault.certain else UNCERTAIN, "max_value": 0},
            expected,
            Message("{advice} Every estimate divides by these propensities.", advice=fault.advice),
            "critical" if fault.certain else "warning",
            told=fault.told,
            examples=fault.rows,
        )
        for k, fault in enumerate(faults)
    ]
    return found or [
        Rule(
            Message("shows follow the propensities"),
            "ExpectColumnValuesToBeBetween",
            {"column": CERTAIN, "max_value": 0},
            expected,
            Message("Every estimate divides by these propensities."),
        )
    ]
