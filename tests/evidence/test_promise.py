from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from mrlm.bandit_log import BanditLog
from mrlm.evidence.night_lift import NightLift
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.evidence.promise import Promise, judge_promise, lift_on_night, north_star_alone
from mrlm.ope.intervals import estimates
from tests.evidence.arrays import (
    DELIGHT,
    Heads,
    Prefers,
    clustered_error,
    criteria,
    doubly_robust,
    make_log,
    weights,
)

NIGHTS = [f"2026-11-{d:02d}" for d in range(1, 7)]
PROMOTED, REPLACED = Prefers(0.4), Prefers(-0.2)
# The lift of one policy over the other is about .26 on these logs.
KEPT = PolicyEstimate(0.26, 0.01, 500.0, 0.24, 0.28, certified=True)
TOO_MUCH = replace(KEPT, value=0.6, lower=0.58, upper=0.62)
CRITERIA = criteria()
WATCH: Any = {"false_alarms": 0.05, "horizon": 14}


def promise(predicted: PolicyEstimate = KEPT, test_nights: int = 14) -> Promise:
    return Promise(3, 2, "2026-10-31-abc", test_nights, 0.975, predicted)


def lifts(
    nights: list[str] = NIGHTS, estimated: tuple[str, ...] = (), unknown: tuple[str, ...] = ()
) -> dict[str, NightLift]:
    """Each night's lift by self-normalised weights; of some nothing is known."""
    found = {}
    for seed, night in enumerate(nights):
        log = make_log(seed, n=300, users=60, nights=(night,))
        if night in unknown:
            log = replace(log, final=np.zeros_like(log.final))
        found[night] = lift_on_night(
            log, PROMOTED, REPLACED, None, CRITERIA, estimated=night in estimated
        )
    return found


def test_the_lift_on_a_night_is_doubly_robust_with_a_model_and_self_normalised_without() -> None:
    log = make_log()
    reward, w, v = log.rewards[:, 0], weights(PROMOTED, log), weights(REPLACED, log)
    plain = estimates(lift_on_night(log, PROMOTED, REPLACED, None, CRITERIA).state)
    expected = (w @ reward) / w.sum() - (v @ reward) / v.sum()
    assert plain["delight"].value == pytest.approx(expected, abs=1e-12)
    assert plain["delight"].estimator == "snips"
    robust = estimates(lift_on_night(log, PROMOTED, REPLACED, Heads(), CRITERIA).state)
    scores = doubly_robust(PROMOTED, log) - doubly_robust(REPLACED, log)
    assert robust["delight"].value == pytest.approx(scores.mean(), abs=1e-12)
    assert robust["delight"].standard_error == pytest.approx(
        clustered_error(scores, log.decisions.user), rel=1e-9
    )
    assert list(plain) == list(robust) == ["delight"]


def test_an_old_model_is_asked_for_the_north_star_alone() -> None:
    """Objectives that came after it are no reason not to follow a promotion."""
    log = make_log()
    old = Heads(("delight",))
    whole = lift_on_night(log, PROMOTED, REPLACED, Heads(), CRITERIA)
    found = lift_on_night(log, PROMOTED, REPLACED, old, CRITERIA)
    assert estimates(found.state)["delight"] == estimates(whole.state)["delight"]
    with pytest.raises(KeyError, match="delight"):
        lift_on_night(log, PROMOTED, REPLACED, Heads(("other",)), CRITERIA)


def test_the_north_star_alone() -> None:
    log = make_log(n=6)
    moved = replace(
        log,
        objectives=log.objectives[::-1],
        rewards=log.rewards[:, ::-1],
        final=np.arange(18).reshape(6, 3) % 2 == 0,
    )
    own = north_star_alone(moved, "delight")
    assert own.objectives == (DELIGHT,)
    assert own.rewards.tolist() == log.rewards[:, :1].tolist()
    assert own.final.tolist() == moved.final[:, 2:].tolist()
    with pytest.raises(KeyError, match="nothing"):
        north_star_alone(log, "nothing")


def test_a_promise_that_is_kept() -> None:
    """The realised lift is that of all nights; its error knows of the luck of nights."""
    told, look = judge_promise(promise(), lifts(), CRITERIA, **WATCH)
    assert (told.version, told.replaced, told.run_key) == (3, 2, "2026-10-31-abc")
    assert told.nights == tuple(NIGHTS)
    assert not told.alarm
    assert told.covered
    logs = [make_log(s, n=300, users=60) for s in range(len(NIGHTS))]
    log = BanditLog.concat(logs)
    reward, w, v = log.rewards[:, 0], weights(PROMOTED, log), weights(REPLACED, log)
    expected = (w @ reward) / w.sum() - (v @ reward) / v.sum()
    assert told.realised.value == pytest.approx(expected, abs=1e-9)
    assert told.realised.degrees_of_freedom >= len(NIGHTS) - 1
    promised = 0.26 - student.ppf(0.975, 500.0) * 0.01
    assert told.promised == pytest.approx(promised, abs=1e-12)
    assert look.realised.value == told.realised.value
    assert look.realised_nights == tuple(NIGHTS)


def test_a_promise_that_is_not_kept_is_an_alarm_from_the_third_night_on() -> None:
    for number in range(1, 7):
        told, _ = judge_promise(promise(TOO_MUCH), lifts(NIGHTS[:number]), CRITERIA, **WATCH)
        assert told.alarm is (number >= 3)
        assert not told.covered
    assert "better than what it replaced all the same" in told.reason
    assert told.still_better


def test_the_bound_on_false_alarms_is_shared_out() -> None:
    """A lift just under the promise is an alarm at 5 %, and none where the share is smaller."""
    three = lifts(NIGHTS[:3])
    realised = judge_promise(promise(), three, CRITERIA, **WATCH)[0].realised
    assert realised.value is not None
    assert realised.standard_error is not None
    near = realised.value + 6.5 * realised.standard_error
    predicted = PolicyEstimate(near, 0.0, 500.0, near, near, certified=True)

    def alarm(test_nights: int, false_alarms: float) -> bool:
        kept = {**WATCH, "false_alarms": false_alarms}
        return judge_promise(promise(predicted, test_nights), three, CRITERIA, **kept)[0].alarm

    assert alarm(14, 0.05)
    assert not alarm(1, 0.05), "a shorter test has a smaller share"
    assert not alarm(14, 0.0005)


def test_its_own_decisions_are_told_as_they_were_served() -> None:
    """A server that shows something else than was judged is seen: its live reward counts."""
    log = make_log()
    own = np.arange(len(log)) % 2 == 0
    served = replace(log, policy_id=np.where(own, "shop@3", "other").astype(object))
    reward, w, v = log.rewards[:, 0], weights(PROMOTED, log), weights(REPLACED, log)
    live = np.where(own, 1.0, w)
    expected = (live @ reward) / live.sum() - (v @ reward) / v.sum()
    found = lift_on_night(served, PROMOTED, REPLACED, None, CRITERIA, served_as="shop@3")
    assert estimates(found.state)["delight"].value == pytest.approx(expected, abs=1e-12)
    nobody = lift_on_night(served, PROMOTED, REPLACED, None, CRITERIA, served_as="shop@4")
    meant = lift_on_night(log, PROMOTED, REPLACED, None, CRITERIA)
    assert estimates(nobody.state)["delight"] == estimates(meant.state)["delight"]


def test_a_night_of_which_nothing_is_known_is_no_look() -> None:
    told, look = judge_promise(
        promise(TOO_MUCH), lifts(NIGHTS[:3], unknown=(NIGHTS[1],)), CRITERIA, **WATCH
    )
    assert not told.alarm
    assert told.nights == tuple(NIGHTS[:3])
    assert look.realised_nights == (NIGHTS[0], NIGHTS[2])


def lossy(seed: int, night: str, share: float) -> BanditLog:
    """A night without that share of its best rewards."""
    log = make_log(seed, n=300, users=60, nights=(night,))
    drawn = np.random.default_rng(seed).random(len(log)) < share
    gone = drawn[:, None] & (np.arange(len(log.objectives)) == 0) & (log.rewards > 0.7)
    return replace(log, final=log.final & ~gone, unknown=gone)


def test_rewards_that_are_unknown_raise_no_alarm_and_are_in_the_interval() -> None:
    """Lost are the best: the promise looks broken by what is left, and that is no proof."""
    gone = {
        night: lift_on_night(lossy(seed, night, 0.3), PROMOTED, REPLACED, None, CRITERIA)
        for seed, night in enumerate(NIGHTS)
    }
    more = promise(replace(KEPT, value=0.295, standard_error=0.001, lower=0.294, upper=0.296))
    told, _ = judge_promise(more, gone, CRITERIA, **WATCH)
    known = {night: NightLift(found.state) for night, found in gone.items()}
    as_if_whole, _ = judge_promise(more, known, CRITERIA, **WATCH)
    assert as_if_whole.alarm, "what is known alone falls short"
    assert not told.alarm
    assert "not delivered" in told.reason
    near = promise(replace(more.predicted, value=0.2785, lower=0.2785, upper=0.2785))
    assert judge_promise(near, gone, CRITERIA, **WATCH)[0].covered
    assert not judge_promise(near, known, CRITERIA, **WATCH)[0].covered
    whole, _ = judge_promise(promise(), lifts(), CRITERIA, **WATCH)
    assert whole.realised.value is not None
    assert told.realised.lower is not None
    assert told.realised.upper is not None
    assert told.realised.lower <= whole.realised.value <= told.realised.upper
    assert told.realised.unknown_high > 0


def test_a_lift_that_falls_short_whatever_is_unknown_is_an_alarm() -> None:
    few = {
        night: lift_on_night(lossy(seed, night, 0.02), PROMOTED, REPLACED, Heads(), CRITERIA)
        for seed, night in enumerate(NIGHTS)
    }
    told, _ = judge_promise(promise(TOO_MUCH), few, CRITERIA, **WATCH)
    assert told.alarm
    assert not told.covered
    assert told.realised.unknown_low < 0 < told.realised.unknown_high


def test_a_look_carries_the_flag_of_its_own_nights() -> None:
    """A later night without propensities does not take back what an earlier look found."""
    last = lifts(NIGHTS, estimated=(NIGHTS[5],))
    told, _ = judge_promise(promise(TOO_MUCH), last, CRITERIA, **WATCH)
    assert told.alarm
    assert not told.realised.certified
    first = lifts(NIGHTS, estimated=(NIGHTS[0],))
    told, _ = judge_promise(promise(TOO_MUCH), first, CRITERIA, **WATCH)
    assert not told.alarm
    known = criteria(no_hidden_confounding=True)
    told, _ = judge_promise(promise(TOO_MUCH), first, known, **WATCH)
    assert told.alarm
    assert told.realised.certified


@pytest.mark.parametrize("nights", [{}, lifts(NIGHTS[:2], unknown=tuple(NIGHTS[:2]))])
def test_without_a_value_there_is_no_verdict(nights: dict[str, NightLift]) -> None:
    with pytest.raises(ValueError, match="no value can be had"):
        judge_promise(promise(), nights, CRITERIA, **WATCH)


def test_without_a_predicted_error_there_is_no_verdict() -> None:
    nothing = replace(KEPT, standard_error=None)
    with pytest.raises(ValueError, match="no value can be had"):
        judge_promise(promise(nothing), lifts(NIGHTS[:3]), CRITERIA, **WATCH)


def test_one_night_alone_has_the_error_of_its_users() -> None:
    one = lifts(NIGHTS[:1])
    told, _ = judge_promise(promise(), one, CRITERIA, **WATCH)
    alone = estimates(one[NIGHTS[0]].state, 0.95, CRITERIA.thresholds)["delight"]
    assert told.realised == PolicyEstimate.of(alone)
    assert math.isfinite(alone.standard_error)
