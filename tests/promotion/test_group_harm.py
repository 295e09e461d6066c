"""A gain in the mean that harms a group is refused, and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from scipy.stats import t

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.groups import GroupDifference
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.settings import GateSettings

Make = Callable[..., Evidence]
RULE = GateSettings()
ERROR = 0.01


def estimate(value: float, **changes: object) -> PolicyEstimate:
    found = PolicyEstimate(value, ERROR, 200.0, value - 0.03, value + 0.03, certified=True)
    return replace(found, **changes)


def groups(*values: float, objective: str = "delight") -> tuple[GroupDifference, ...]:
    return tuple(
        GroupDifference("scene", f"s{i}", 100, 40, {objective: estimate(value)})
        for i, value in enumerate(values)
    )


def edge(many: int) -> float:
    """Largest difference that is shown to be below 0 among so many groups."""
    return -float(t.ppf(1 - RULE.group_error / many, 200.0)) * ERROR


@pytest.mark.parametrize("many", [1, 2, 10])
def test_harm_is_shown_at_the_groups_share_of_the_error(evidence: Make, many: int) -> None:
    others = [0.1] * (many - 1)
    harmed = replace(evidence(), groups=groups(edge(many) - 1e-6, *others))
    refused = judge(harmed, RULE)
    assert not refused.promote
    assert "worse off: delight of scene s0" in refused.reason
    assert "s1" not in refused.reason
    unharmed = replace(evidence(), groups=groups(edge(many) + 1e-6, *others))
    assert judge(unharmed, RULE).promote


def test_a_guardrail_may_fall_by_its_margin_in_each_group(evidence: Make) -> None:
    found = evidence()
    margin = found.guardrails["like"]
    kept = replace(found, groups=groups(edge(1) - margin + 1e-6, objective="like"))
    assert judge(kept, RULE).promote
    below = replace(found, groups=groups(edge(1) - margin - 1e-6, objective="like"))
    assert "like of scene s0" in judge(below, RULE).reason


def test_it_may_be_advice_or_nothing(evidence: Make) -> None:
    harmed = replace(evidence(), groups=groups(-0.2))
    advised = judge(harmed, GateSettings(groups="advise"))
    assert advised.promote
    assert "advice, as gate.groups says: worse off" in advised.reason
    silent = judge(harmed, GateSettings(groups="off"))
    assert silent.promote
    assert "worse off" not in silent.reason


def test_what_is_not_certified_or_not_known_is_no_proof_of_harm(evidence: Make) -> None:
    for spared in (
        estimate(-0.2, certified=False),
        estimate(-0.2, unknown_high=0.3),
        estimate(-0.2, degrees_of_freedom=0.0),
    ):
        group = GroupDifference("history", "0 items", 9, 3, {"delight": spared})
        assert judge(replace(evidence(), groups=(group,)), RULE).promote
