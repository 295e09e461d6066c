from __future__ import annotations

import json
import math

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
    assert judge_promotion(promotion(1.0, -5.0)).alarm


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


def test_later_promotions_have_less_error_to_spend():
    p = promotion(10.0, 5.6)
    assert judge_promotion(p, number=1).alarm
    assert not judge_promotion(p, number=1000).alarm


def test_selection_raises_no_false_alarms():
    """Challengers that are promoted for looking good, and whose truth stays.

    An alarm is false where the truth keeps the promise: in .05 of the 400 years at most, of which
    34 or more have probability .002. Against the predicted value itself most years would alarm.
    """
    g = np.random.default_rng(0)
    years, naive = 0, 0
    for _ in range(400):
        any_false = any_naive = False
        number = 0
        while number < 20:
            truth = g.normal(0.5, 0.5)
            seen = truth + g.normal()
            if seen < 1.96:
                continue
            number += 1
            p = promotion(seen, truth + g.normal(), version=number)
            v = judge_promotion(p, number)
            any_false |= v.alarm and truth >= v.predicted_lower
            any_naive |= p.realised.value + 1.96 * math.sqrt(2) < p.predicted.value
        years += any_false
        naive += any_naive
    assert years < 34
    assert naive > 200


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


def test_an_alarm_of_an_earlier_look_stays():
    told = ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (9.0, 0.5), (9.5, 0.4))
    looks = [promotion(10.0, x, error=e) for x, e in told]
    assert judge_over_nights(looks[:3]).alarm
    found = judge_over_nights(looks)
    assert found.alarm
    assert found.roll_back
    assert found.realised == 9.5
    assert not judge_over_nights([*looks[:2], *looks[3:]]).alarm


def test_two_nights_raise_no_alarm():
    looks = [promotion(10.0, -50.0)] * 3
    for number in (1, 2):
        found = judge_over_nights(looks[:number])
        assert not found.alarm
        assert not found.roll_back
        assert "no verdict before 3 nights" in found.reason
    assert judge_over_nights(looks).alarm


def test_looking_every_night_raises_no_false_alarms():
    """A promotion whose truth is just what was promised, looked at after each of 14 nights.

    An alarm is false, in .05 of the 2000 runs at most: 130 or more have probability .002. At one
    and the same level every night, more than .1 alarm.
    """
    g = np.random.default_rng(3)
    promised = max(promotion(10.0, 0.0).predicted.lower(GATE), 0.0)
    false, naive = 0, 0
    for _ in range(2000):
        mean = np.cumsum(g.normal(promised, 1.0, 14)) / np.arange(1, 15)
        looks = [promotion(10.0, x, error=1.0 / math.sqrt(t)) for t, x in enumerate(mean, 1)]
        looks = [Promotion(**{**p.__dict__, "predicted": Lift(10.0, 1.0, 500.0)}) for p in looks]
        false += judge_over_nights(looks).alarm
        naive += any(p.realised.upper(0.95) < promised for p in looks)
    assert false < 130
    assert naive > 200


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="at least one night"):
        judge_over_nights([])
    with pytest.raises(ValueError, match="a lift needs"):
        Lift(math.nan, 1.0, 5.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        judge_promotion(promotion(1.0, 1.0), level=1.0)
    with pytest.raises(ValueError, match="from 1"):
        judge_promotion(promotion(1.0, 1.0), number=0)
