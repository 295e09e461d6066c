from __future__ import annotations

from dataclasses import asdict, replace
from functools import reduce

import numpy as np
import pytest
from scipy.stats import norm

from mrlm.bandit_log import BanditLog
from mrlm.evidence.night_lift import NightLift, flagged_lifts, night_lift
from mrlm.evidence.outlook import NextNight, Outlook, Power, outlook_of, predicted_difference
from mrlm.ope.nights.tomorrow import Prediction, next_night
from mrlm.ope.state.state import EvaluationState
from tests.evidence.arrays import Prefers, clustered_error, criteria, make_log, scored, weights

FIRST, SECOND = Prefers(0.4), Prefers(-0.2)
NIGHTS = [f"2026-11-{d:02d}" for d in range(1, 7)]
CRITERIA = criteria(estimator="ips")


def logs() -> dict[str, BanditLog]:
    return {n: make_log(s, n=300, users=60, nights=(n,)) for s, n in enumerate(NIGHTS)}


def lifts() -> dict[str, NightLift]:
    return {n: night_lift(scored(log, FIRST, SECOND), "a", "b", "ips") for n, log in logs().items()}


def gap(log: BanditLog) -> np.ndarray:
    return (weights(FIRST, log) - weights(SECOND, log)) * log.rewards[:, 0]


def gate(number: int = 2) -> dict[str, NightLift]:
    found = lifts()
    return {n: found[n] for n in NIGHTS[-number:]}


def found_of(nights: dict[str, NightLift], value: float | None = 0.5) -> Outlook:
    found = outlook_of(nights, None, value, CRITERIA, gains=[0.02, 0.1], error=0.01)
    assert found is not None
    return found


def test_without_a_gate_night_there_is_no_outlook() -> None:
    assert outlook_of({}, None, 0.5, CRITERIA, gains=[0.1], error=0.01) is None


def test_the_two_way_error_is_that_of_cameron_gelbach_and_miller() -> None:
    """By user plus by night less by both, and never below either."""
    both = list(logs().values())[-2:]
    log, score = BanditLog.concat(both), np.concatenate([gap(x) for x in both])
    night = np.repeat([0, 1], [len(x) for x in both])
    user = log.decisions.user
    both_ways = np.array([f"{u}/{n}" for u, n in zip(user, night, strict=True)], object)
    parts = [clustered_error(score, cluster) ** 2 for cluster in (user, night, both_ways)]
    expected = max(parts[0] + parts[1] - parts[2], parts[0], parts[1]) ** 0.5
    assert found_of(gate()).two_way_standard_error == pytest.approx(expected, rel=1e-9)
    assert found_of(gate(1)).two_way_standard_error is None


def test_power_is_that_of_a_one_sided_normal_test() -> None:
    log = BanditLog.concat(list(logs().values())[-2:])
    error = clustered_error(gap(log), log.decisions.user)
    reach = norm.isf(0.01) + norm.ppf(0.8)
    found = found_of(gate(), value=0.5)
    assert (found.error, found.chance) == (0.01, 0.8)
    assert [(p.share, p.gain) for p in found.power] == [(0.02, 0.01), (0.1, 0.05)]
    for p in found.power:
        assert p.rows == int(np.ceil(len(log) * (reach * error / p.gain) ** 2))


@pytest.mark.parametrize("value", [None, 0.0, -0.5, float("nan")])
def test_there_is_no_power_without_a_value_that_a_gain_could_be_a_share_of(
    value: float | None,
) -> None:
    if value is not None and np.isnan(value):
        with pytest.raises(ValueError, match="gain"):
            found_of(gate(), value)
        return
    assert found_of(gate(), value).power == ()


def test_no_number_of_rows_tells_a_policy_from_itself() -> None:
    same = {n: night_lift(scored(log, FIRST, FIRST), "a", "b", "ips") for n, log in logs().items()}
    assert found_of(same).power == ()


def test_the_prediction_rests_on_the_gate_nights() -> None:
    """Earlier nights, on which the challenger was chosen, tell the spread alone."""
    found = predicted_difference(lifts(), 2, CRITERIA)
    assert found is not None
    nightly = [gap(log).mean() for log in logs().values()]
    assert found.value == pytest.approx(np.mean(nightly[-2:]), abs=1e-12)
    assert found.nights == len(NIGHTS)
    assert found.lower < found.value < found.upper
    told = next_night({n: f.state for n, f in lifts().items()}, CRITERIA.level, recent=2)["delight"]
    assert found == NextNight(**{k: v for k, v in asdict(told).items() if k != "objective"})
    placed = outlook_of(gate(), found, 0.5, CRITERIA, gains=[], error=0.01)
    assert placed is not None
    assert placed.next_night == found


def test_too_few_nights_have_no_prediction() -> None:
    few = {n: s for n, s in lifts().items() if n in NIGHTS[-3:]}
    with pytest.raises(ValueError, match="4 in all"):
        predicted_difference(few, 2, CRITERIA)


def lossy(share: float, nights: list[str]) -> dict[str, NightLift]:
    """The nights' lifts where that share of the best rewards of some of them is unknown."""
    found = {}
    for seed, (night, log) in enumerate(logs().items()):
        drawn = np.random.default_rng(seed).random(len(log)) < share * (night in nights)
        gone = drawn[:, None] & (np.arange(len(log.objectives)) == 0) & (log.rewards > 0.7)
        log = replace(log, final=log.final & ~gone, unknown=gone)
        found[night] = night_lift(scored(log, FIRST, SECOND), "a", "b", "ips")
    return found


def test_the_next_night_reaches_as_far_as_unknown_rewards_could_move_it() -> None:
    """The interval holds that of the whole log, which what is known alone does not."""
    whole = predicted_difference(lifts(), 2, CRITERIA)
    told = predicted_difference(lossy(0.6, NIGHTS[-2:]), 2, CRITERIA)
    known = {n: NightLift(f.state) for n, f in lossy(0.6, NIGHTS[-2:]).items()}
    alone = predicted_difference(known, 2, CRITERIA)
    assert whole is not None
    assert told is not None
    assert alone is not None
    assert told.value == alone.value
    assert told.lower < alone.lower < alone.upper < told.upper
    assert told.lower <= whole.lower
    assert told.upper >= whole.upper
    assert alone.upper < whole.upper


def test_unknown_rewards_of_earlier_nights_leave_the_prediction_alone() -> None:
    lost = lossy(0.3, NIGHTS[:2])
    assert any(f.ends for f in lost.values())
    known = {n: NightLift(f.state) for n, f in lost.items()}
    assert predicted_difference(lost, 2, CRITERIA) == predicted_difference(known, 2, CRITERIA)


def test_a_gain_that_unknown_rewards_could_hide_is_never_seen() -> None:
    """And a larger one needs more decisions than where all is known."""
    few = {n: f for n, f in lossy(0.02, NIGHTS).items() if n in NIGHTS[-2:]}
    known = {n: NightLift(f.state) for n, f in few.items()}
    lost, plain = (
        outlook_of(nights, None, 0.5, CRITERIA, gains=[0.001, 0.5], error=0.01)
        for nights in (few, known)
    )
    assert lost is not None
    assert plain is not None
    assert lost.power[0].rows is None
    assert plain.power[0].rows is not None
    assert lost.power[1].rows is not None
    assert plain.power[1].rows is not None
    assert lost.power[1].rows > plain.power[1].rows


def test_nights_with_and_without_the_flag_do_not_mix() -> None:
    estimated = {n: replace(f, estimated=True) for n, f in gate(1).items()}
    mixed = gate() | flagged_lifts(estimated, no_hidden_confounding=False)
    with pytest.raises(ValueError, match="estimat"):
        found_of(mixed)
    reduce(EvaluationState.merge, (f.state for f in gate().values()))


def test_a_prediction_that_is_not_finite_is_none() -> None:
    found = Prediction("delight", 0.1, -0.1, 0.3, 0.95, 0.05, 0.04, 5.0, 8)
    assert NextNight.of(found) == NextNight(0.1, -0.1, 0.3, 0.95, 0.05, 0.04, 5.0, 8)
    for name in ("value", "lower", "upper", "night_deviation", "degrees_of_freedom"):
        assert NextNight.of(replace(found, **{name: float("inf")})) is None
    assert NextNight.of(replace(found, value=float("nan"))) is None


@pytest.mark.parametrize(
    "outlook",
    [
        Outlook(),
        Outlook(
            0.02, NextNight(0.1, -0.1, 0.3, 0.95, 0.05, 0.04, 5.0, 8), (Power(0.05, 0.01, None),)
        ),
    ],
)
def test_it_is_read_as_it_was_written(outlook: Outlook) -> None:
    assert Outlook.from_json(asdict(outlook)) == outlook
