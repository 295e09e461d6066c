"""Do the arms of an experiment hold the users that they should?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mrlm.log_checks.sample_ratio import SampleRatio, against_nights, against_shares
from mrlm.messages.message import Message
from pipelines.expectations.suite import Rule, Severity
from pipelines.settings.validation import Validation

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Of the statistics table.
STATED, USUAL = "arm_shares_chance", "arms_like_trailing_chance"
# Whether several policies answered.
SEVERAL = "several_arms"


def arm_column() -> dict[str, Column]:
    """The aggregate ``SEVERAL`` over impressions."""
    from pyspark.sql import functions as F

    arm = F.coalesce("policy_id", F.lit(""))
    return {SEVERAL: F.coalesce(F.min(arm) != F.max(arm), F.lit(False))}


def users_by_arm(impressions: DataFrame) -> dict[str, int]:
    """Different users that each policy answered, by policy id, told apart by a hash."""
    from pyspark.sql import functions as F

    arm = F.coalesce("policy_id", F.lit("")).alias("arm")
    rows = (
        impressions.groupBy(arm).agg(F.count_distinct(F.xxhash64("user")).alias("users")).collect()
    )
    return {row["arm"]: row["users"] for row in rows}


def sample_ratios(
    users: Mapping[str, float], trailing: Sequence[Mapping[str, Any]], settings: Validation
) -> dict[str, SampleRatio]:
    """The night's arms against the stated shares, or else against the trailing nights.

    Args:
        users: arm to its users.
        trailing: statistics of earlier nights.
        settings: the stated shares.
    """
    if settings.arm_shares:
        return {STATED: against_shares(users, settings.arm_shares)}
    usual = against_nights(users, [t["arms"] for t in trailing if t.get("arms")])
    return {} if usual is None else {USUAL: usual}


def arm_rules(ratios: Mapping[str, SampleRatio], settings: Validation) -> list[Rule]:
    """One rule for each comparison."""
    severity: dict[str, Severity] = {STATED: "critical", USUAL: "warning"}
    shares = ", ".join(f"{a} {s:g}" for a, s in sorted(settings.arm_shares.items()))
    expected = {
        STATED: Message("users of the arms in the stated shares ({shares})", shares=shares),
        USUAL: Message("users of the arms in the shares of the trailing nights"),
    }
    return [
        Rule(
            Message("sample ratio of the arms"),
            "ExpectColumnValuesToBeBetween",
            {"column": name, "min_value": settings.arm_error},
            Message(
                "{expected}; true shares break this once in {times:,.0f}",
                expected=expected[name],
                times=1 / settings.arm_error,
            ),
            Message(
                "Users of one arm may be missing, doubled or moved: look at assignment and logging "
                "before you compare the arms."
            ),
            severity[name],
            told=_told(ratio) if ratio.chance < settings.arm_error else "",
        )
        for name, ratio in ratios.items()
    ]


def _told(ratio: SampleRatio) -> str:
    worst = ratio.worst
    return Message(
        "arm {arm} has {users:.0f} users, {expected:.0f} expected of {all:.0f}",
        arm=worst,
        users=ratio.observed[worst],
        expected=ratio.expected[worst],
        all=sum(ratio.observed.values()),
    )
