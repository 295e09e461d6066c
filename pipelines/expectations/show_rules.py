"""Expectations on a night's propensities, by what was shown."""

from __future__ import annotations

from collections.abc import Sequence

from mrlm.log_checks.show_faults import ShowFault
from mrlm.log_checks.shows import ShowLimits
from pipelines.expectations.suite import Rule

# Of the statistics table: faults that may stop a night, and those that may not.
CERTAIN, UNCERTAIN = "show_faults", "show_doubts"


def show_statistics(faults: Sequence[ShowFault]) -> dict[str, float]:
    """How many faults there are, for the statistics table."""
    certain = sum(f.certain for f in faults)
    return {CERTAIN: float(certain), UNCERTAIN: float(len(faults) - certain)}


def show_rules(faults: Sequence[ShowFault], limits: ShowLimits) -> list[Rule]:
    """One rule a fault, and where there is none the rule that was kept."""
    expected = (
        "every item, position, scene, policy and hour is shown as often as its propensities say, "
        f"within {limits.tolerance:.0%}; a true night breaks this once in {1 / limits.error:,.0f}"
    )
    found = [
        Rule(
            "shows follow the propensities" + (f" ({k + 1})" if k else ""),
            "ExpectColumnValuesToBeBetween",
            {"column": CERTAIN if fault.certain else UNCERTAIN, "max_value": 0},
            expected,
            f"{fault.advice} Every estimate divides by these propensities.",
            "critical" if fault.certain else "warning",
            told=fault.told,
            examples=fault.rows,
        )
        for k, fault in enumerate(faults)
    ]
    return found or [
        Rule(
            "shows follow the propensities",
            "ExpectColumnValuesToBeBetween",
            {"column": CERTAIN, "max_value": 0},
            expected,
            "Every estimate divides by these propensities.",
        )
    ]
