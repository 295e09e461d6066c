from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest

from mrlm.evidence.followed_promotions import (
    Hindcast,
    HindcastCalibration,
    PromotionHindcast,
    carry_alarm,
    without_alarms,
)
from mrlm.ope.nights.hindcast import Lift, Promotion, calibration, judge_promotion
from tests.evidence.found import NUMBER, hindcast_of


def promotion(realised: float) -> Promotion:
    predicted = Lift(0.1, 0.01, 200.0)
    return Promotion(2, "a", predicted, 0.95, Lift(realised, 0.01, 200.0), ("2026-11-18",))


def test_a_verdict_becomes_what_evidence_keeps() -> None:
    for realised, alarm in ((0.1, False), (-0.2, True)):
        verdict = judge_promotion(promotion(realised))
        found = PromotionHindcast.of(verdict, 1, "a", ["2026-11-18"], NUMBER, NUMBER)
        assert (found.version, found.replaced, found.run_key) == (2, 1, "a")
        assert found.nights == ("2026-11-18",)
        assert (found.alarm, found.covered) == (alarm, not alarm)
        assert found.promised == pytest.approx(0.1 - 1.6525 * 0.01, abs=1e-4)
        assert found.reason == verdict.reason


def test_calibration_has_none_for_what_is_not_known() -> None:
    nothing = HindcastCalibration.of(calibration([], 0.9))
    assert nothing == HindcastCalibration(0, None, 0.9, None, None, None)
    one = HindcastCalibration.of(calibration([promotion(0.05)], 0.9))
    assert (one.promotions, one.covered, one.level) == (1, 0.0, 0.9)
    assert one.bias == pytest.approx(-0.05)
    assert one.bias_lower is None
    two = HindcastCalibration.of(calibration([promotion(0.05), promotion(0.07)], 0.9))
    assert two.bias == pytest.approx(-0.04)
    assert two.bias_lower is not None
    assert two.bias_upper is not None
    assert two.bias_lower < two.bias < two.bias_upper


@pytest.mark.parametrize("found", [Hindcast(), hindcast_of(2, alarm=True)])
def test_it_is_read_as_it_was_written(found: Hindcast) -> None:
    assert Hindcast.from_json(json.loads(json.dumps(asdict(found)))) == found


def test_only_a_version_that_fell_short_has_an_alarm() -> None:
    alarmed = hindcast_of(2, alarm=True)
    assert alarmed.alarms == alarmed.promotions
    assert alarmed.alarm_of(2) == alarmed.promotions[0]
    assert alarmed.alarm_of(1) is None
    assert alarmed.alarm_of(None) is None
    assert hindcast_of(2, alarm=False).alarm_of(2) is None


def test_the_champions_alarm_stays_whatever_tonight_finds() -> None:
    before = hindcast_of(2, alarm=True)
    kept = carry_alarm(hindcast_of(2, alarm=False), before, champion=2)
    assert kept is not None
    (one,) = kept.promotions
    assert one.alarm
    assert one.reason == before.promotions[0].reason
    assert one.realised == hindcast_of(2, alarm=False).promotions[0].realised
    assert kept.left_out == ("v9: gone",)
    assert carry_alarm(None, before, champion=2) == Hindcast(before.promotions)
    assert carry_alarm(Hindcast(), kept, champion=2) == Hindcast(kept.promotions)


def test_an_alarm_is_carried_beside_what_tonight_finds_of_others() -> None:
    before = hindcast_of(2, alarm=True)
    other = replace(hindcast_of(3, alarm=False).promotions[0], run_key="b")
    kept = carry_alarm(Hindcast((other,)), before, champion=2)
    assert kept is not None
    assert set(kept.promotions) == {other, before.promotions[0]}


def test_only_an_alarm_of_the_champion_is_carried_over() -> None:
    tonight = hindcast_of(2, alarm=False)
    assert carry_alarm(tonight, hindcast_of(2, alarm=True), champion=1) == tonight
    assert carry_alarm(tonight, hindcast_of(2, alarm=False), champion=2) == tonight
    assert carry_alarm(tonight, None, champion=2) == tonight
    assert carry_alarm(None, None, champion=2) is None


def test_a_calibration_that_is_not_finite_has_no_place_in_json() -> None:
    found = calibration([], 0.9)
    assert math.isnan(found.bias)
    json.dumps(asdict(HindcastCalibration.of(found)), allow_nan=False)


def test_where_nobody_watches_there_is_no_alarm_and_all_else() -> None:
    alarmed = hindcast_of(2, alarm=True)
    found = without_alarms(alarmed)
    assert found.alarms == ()
    assert found.promotions[0].realised == alarmed.promotions[0].realised
    assert found.calibration == alarmed.calibration
