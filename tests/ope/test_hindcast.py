from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope.nights.hindcast import (
    Lift,
    LiftCalibration,
    Promotion,
    calibration,
    judge_over_nights,
    judge_promotion,
)

GATE = 0.975


def promotion(predicted, realised, error=1.0, version=1, **kind) -> Promotion:
    return Promotion(
        version=version,
        run_key=f"night-{version}",
        predicted=Lift(predicted, error, 500.0),
        predicted_level=GATE,
        realised=Lift(realised, error, 500.0, **kind),
        realised_nights=("2026-11-20",),
    )


def test_a_shortfall_raises_an_alarm_and_proposes_rollback():
    v = judge_promotion(promotion(10.0, 1.0))
    assert v.alarm
    assert v.roll_back
    assert "falls short" in v.reason
    assert not v.covered
    json.dumps(v.to_json(), allow_nan=False)


def test_what_was_promised_is_not_an_alarm():
    for realised in (10.0, 8.5, 20.0):
        v = judge_promotion(promotion(10.0, realised))
        assert not v.alarm
        assert not v.roll_back


def test_a_loss_is_an_alarm_even_where_little_was_promised():
    assert not judge_promotion(promotion(1.0, -0.5)).alarm
    assert judge_promotion(promotion(1.0, -2.0)).alarm


def test_the_promises_own_error_counts():
    """A shortfall of 2.2 is 1.56 standard errors of the two together, and 2.2 of one."""
    assert not judge_promotion(promotion(4.0, 1.8)).alarm
    exact = replace(promotion(4.0, 1.8), predicted=Lift(4.0, 0.0, 1e9))
    assert judge_promotion(exact).alarm


def test_what_is_not_certified_raises_none():
    v = judge_promotion(promotion(10.0, -20.0, certified=False))
    assert not v.alarm
    assert "not certified" in v.reason


def test_what_was_not_certified_promised_nothing():
    """A person promoted it: only a loss is an alarm."""
    uncertain = Lift(10.0, 1.0, 500.0, certified=False)
    for realised, alarm in ((1.0, False), (-5.0, True)):
        p = Promotion(**{**promotion(10.0, realised).__dict__, "predicted": uncertain})
        found = judge_promotion(p)
        assert found.predicted_lower == 0.0
        assert found.alarm == alarm


def test_calibration_finds_the_bias():
    """The interval at .99 holds a bias of -2 over 200 promotions, and does not reach 0."""
    g = np.random.default_rng(1)
    all_of = [
        promotion(x + g.normal(), x - 2.0 + g.normal(), version=k)
        for k, x in enumerate(g.normal(5.0, 1.0, 200))
    ]
    found = calibration(all_of, 0.99)
    assert found.promotions == 200
    assert found.bias_lower < -2.0 < found.bias_upper < 0.0
    assert found.covered < 0.95
    json.dumps(found.to_json(), allow_nan=False)


def test_calibration_covers_at_its_level():
    """400 sets of 10 sound promotions at level .9: missing 60 has probability .001."""
    g = np.random.default_rng(2)
    missed, covered = 0, []
    for _ in range(400):
        truth = g.normal(5.0, 1.0, 10)
        found = calibration([promotion(x + g.normal(), x + g.normal()) for x in truth], 0.9)
        missed += not found.bias_lower <= 0 <= found.bias_upper
        covered.append(found.covered)
    assert missed < 60
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)


def test_few_or_none():
    assert calibration([]).to_json()["bias"] is None
    one = calibration([promotion(3.0, 2.0)])
    assert (one.promotions, one.bias) == (1, -1.0)
    assert math.isnan(one.bias_lower)
    assert calibration([promotion(3.0, 2.0, certified=False)]).promotions == 0
    assert isinstance(one, LiftCalibration)


def over_nights(looks, test_nights=7, horizon=14, error=0.05):
    return judge_over_nights(looks, test_nights, horizon, error)


def test_an_alarm_of_an_earlier_look_stays():
    told = ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (9.0, 0.5), (9.5, 0.4))
    looks = [promotion(10.0, x, error=e) for x, e in told]
    assert over_nights(looks[:3]).alarm
    found = over_nights(looks)
    assert found.alarm
    # It fell short at first, and is far better than what it replaced.
    assert not found.roll_back
    assert found.realised == 9.5
    assert not over_nights([*looks[:2], *looks[3:]]).alarm


def test_two_nights_raise_no_alarm():
    looks = [promotion(10.0, -50.0)] * 3
    for number in (1, 2):
        found = over_nights(looks[:number])
        assert not found.alarm
        assert not found.roll_back
        assert "no verdict before 3 nights" in found.reason
    assert over_nights(looks).alarm


def test_a_longer_test_brings_more_error():
    looks = [promotion(10.0, 4.7)] * 3
    assert over_nights(looks, test_nights=14).alarm
    assert not over_nights(looks, test_nights=1).alarm
    assert not over_nights(looks, test_nights=14, error=0.0005).alarm


def watched(g, nights, shortfall=0.0, test_nights=5):
    """Looks at a promise of so many nights that is missed by ``shortfall``, night after night."""
    predicted = Lift(10 + g.normal() / math.sqrt(test_nights), 1 / math.sqrt(test_nights), 500.0)
    mean = 10 - shortfall + np.cumsum(g.normal(size=nights)) / np.arange(1, nights + 1)
    return [
        replace(promotion(0.0, x, error=1 / math.sqrt(t)), predicted=predicted)
        for t, x in enumerate(mean, 1)
    ]


@pytest.mark.statistics
def test_looking_every_night_raises_no_false_alarms():
    """A promise that is kept, looked at after each of 14 nights, as if all were one test of 365.

    That is .05 for all looks together: of 500 runs 38 or more have probability .008. At the same
    level every night more alarm.
    """
    g = np.random.default_rng(3)
    false, naive = 0, 0
    for _ in range(500):
        looks = watched(g, 14)
        false += over_nights(looks, 365).alarm
        naive += any(judge_promotion(p, 0.05).alarm for p in looks[2:])
    assert false < 38 < naive


@pytest.mark.statistics
def test_a_shortfall_is_seen_by_the_fifth_night():
    """Of five standard errors of promise and five nights; 400 runs of .92, below .9 in .07."""
    g = np.random.default_rng(4)
    gap = 5 * math.sqrt(1 / 5 + 1 / 5)
    found = [over_nights(watched(g, 5, gap), 5).alarm for _ in range(400)]
    assert np.mean(found) >= 0.9


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="at least one night"):
        judge_over_nights([], 1, 14)
    with pytest.raises(ValueError, match="at most 2"):
        judge_over_nights([promotion(1.0, 1.0)] * 3, 1, 2)
    with pytest.raises(ValueError, match="a lift needs"):
        Lift(math.nan, 1.0, 5.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        judge_promotion(promotion(1.0, 1.0), level=1.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        judge_promotion(promotion(1.0, 1.0), error=0.0)
