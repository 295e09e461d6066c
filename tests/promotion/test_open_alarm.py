"""An alarm of the champion that nobody has answered, at the gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.followed_promotions import Hindcast
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.settings import GateSettings
from tests.evidence.found import hindcast_of

Make = Callable[..., Evidence]
RULE = GateSettings()


def test_nobody_is_promoted_while_the_champions_alarm_is_open(evidence: Make) -> None:
    found = replace(evidence(champion_version=2), hindcast=hindcast_of(2, alarm=True))
    verdict = judge(found, RULE)
    assert not verdict.promote
    assert [c.name for c in verdict.checks if not c.passed] == ["hindcast"]
    assert "mrlm rollback" in verdict.reason
    assert "falls short" in verdict.reason


@pytest.mark.parametrize("hindcast", [None, Hindcast(), hindcast_of(2, alarm=False)])
def test_without_an_alarm_the_rule_is_as_before(evidence: Make, hindcast: Hindcast | None) -> None:
    assert judge(replace(evidence(champion_version=2), hindcast=hindcast), RULE).promote


def test_where_nobody_watches_an_alarm_stops_nobody(evidence: Make) -> None:
    found = replace(evidence(champion_version=2), hindcast=hindcast_of(2, alarm=True))
    assert judge(found, GateSettings(watch="off")).promote


def test_an_alarm_of_another_version_stops_nobody(evidence: Make) -> None:
    """After a rollback the alarm is not the champion's any more."""
    found = replace(evidence(champion_version=1), hindcast=hindcast_of(2, alarm=True))
    assert judge(found, RULE).promote


def test_the_settings_say_what_the_evidence_is_made_by() -> None:
    rule = GateSettings(
        estimator="snips",
        level=0.9,
        min_effective_sample_size=7,
        max_weight_share=0.3,
        min_users=5,
        min_nonzero=6,
        allow_estimated_propensities=True,
    )
    found = rule.criteria("delight")
    assert (found.north_star, found.estimator, found.level) == ("delight", "snips", 0.9)
    assert found.no_hidden_confounding
    needed = found.thresholds
    assert needed == rule.thresholds()
    assert (needed.min_effective_sample_size, needed.max_weight_share) == (7, 0.3)
    assert (needed.min_users, needed.min_nonzero) == (5, 6)
    assert not GateSettings().criteria("delight").no_hidden_confounding
