"""Hyper-parameters that learn: what is tried, how it is scored, and when it moves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mrlm.meta.hyperparameters.conservative_choice import shown_better, still_better
from mrlm.meta.hyperparameters.halving import halved
from mrlm.meta.hyperparameters.hyperparameter_record import (
    NO_RECORD,
    HyperparameterRecord,
    SearchedNight,
    Trial,
)
from mrlm.meta.hyperparameters.hyperparameter_space import HyperparameterSpace
from mrlm.meta.hyperparameters.night_conditions import Conditions
from mrlm.meta.hyperparameters.prequential import PrequentialScores
from mrlm.meta.hyperparameters.search_night import record_of_night, settings_of_night
from mrlm.meta.hyperparameters.seeding_model import SeedingModel, seeded_order
from mrlm.meta.settings import TuningSettings

NAMES = ("half_life", "confidence")
TYPED = TuningSettings(
    hyperparameters=NAMES, hyperparameter_trials=4, least_effective_rows=50, change_confidence=None
)
SPACE = HyperparameterSpace.around(TYPED)
NIGHT = "2026-11-20"
CONDITIONS = Conditions(1.0, 0.5, 1000)


def nights_of(problem: Any, nights: int) -> Any:
    """The problem with its decisions on nights in turn."""
    return replace(problem, age=np.arange(len(problem.propensity)) % nights)


def searched(problem: Any, past: HyperparameterRecord = NO_RECORD, **typed: Any) -> Any:
    settings = TYPED.model_copy(update=typed)
    oldest = int(problem.age.max())
    return record_of_night(past, NO_RECORD, problem, oldest, settings, NIGHT, 1)


def test_the_typed_values_are_in_the_space() -> None:
    space = HyperparameterSpace.around(TYPED.model_copy(update={"half_life": 3.0}))
    assert len(space.settings()) == 5 * 4
    assert (3.0, 0.9) in space.settings()
    assert space.coordinates([(None, 0.2), (1.0, 0.99)]).tolist() == [[0, 0], [1, 1]]


def test_a_night_is_searched_the_same_again_and_read_from_its_json(make_problem: Any) -> None:
    problem = nights_of(make_problem(n=600)[0], 3)
    record = searched(problem)
    assert record == searched(problem)
    assert HyperparameterRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    (night,) = record.nights
    assert night.night == NIGHT
    assert night.conditions.size == 600
    own, *others = night.trials
    assert own.setting == SPACE.named((None, 0.9))
    assert own.difference == 0
    assert len({json.dumps(t.setting) for t in night.trials}) == len(others) + 1 == 5


def test_rewards_of_a_night_change_nothing_of_what_was_tuned_before_it(make_problem: Any) -> None:
    problem = nights_of(make_problem(n=600)[0], 3)
    rewards = problem.rewards.copy()
    rewards[problem.age == 0] = 1 - rewards[problem.age == 0]
    one, other = (
        PrequentialScores(p, TYPED, SPACE, 1) for p in (problem, replace(problem, rewards=rewards))
    )
    settings = SPACE.settings()[:2]
    # The older night's score knows nothing of the newest; the newest's own does.
    for setting in settings:
        assert one.trial(setting, (None, 0.9), [1]) == other.trial(setting, (None, 0.9), [1])
    assert one.ages == [0, 1]


def test_halving_scores_the_better_half_on_more_nights(make_problem: Any) -> None:
    problem = nights_of(make_problem(n=900)[0], 4)
    scores = PrequentialScores(problem, TYPED, SPACE, 1)
    own, *others = halved(scores, (None, 0.9), [(1.0, 0.2), (2.0, 0.2), (4.0, 0.6), (1.0, 0.99)])
    assert own.nights == 3
    assert sorted(t.nights for t in others) == [1, 1, 2, 3]


def test_no_search_without_a_night_before_or_with_weights_by_hand(make_problem: Any) -> None:
    problem = make_problem(n=600)[0]
    assert searched(problem) is NO_RECORD
    assert searched(nights_of(problem, 2), weights={"delight": 1.0}) is NO_RECORD


def trial(difference: float, error: float, value: float = 1.0, nights: int = 2) -> Trial:
    return Trial(SPACE.named((value, 0.9)), difference, error, nights)


@pytest.mark.parametrize(("best", "stays"), [(trial(2.0, 1.0), True), (trial(2.3, 1.0), False)])
def test_the_own_setting_stays_unless_another_is_shown_to_be_better(
    best: Trial, stays: bool
) -> None:
    # Of four tried, one-sided 95 % together is 2.24 standard errors.
    others = [trial(1.0, 1.0, 2.0), trial(0.0, 1.0, 4.0), trial(9.0, 1.0, 2.0, nights=1)]
    found = shown_better([trial(0.0, 0.0, 0.5), best, *others], 2, 0.95)
    assert found is (None if stays else best)


def test_where_settings_are_alike_one_is_seldom_called_better() -> None:
    # 8 trials share half of their noise; at 95 % together, 2,000 nights: error below .05 + 3 s.e.
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((2000, 8)) * 0.5**0.5 + rng.standard_normal((2000, 1)) * 0.5**0.5
    moved = [
        shown_better([trial(0, 0), *(trial(float(d), 1.0) for d in row)], 2, 0.95) is not None
        for row in drawn
    ]
    assert 0.01 < np.mean(moved) < 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


def test_what_a_search_leaves_is_what_the_next_night_tunes_by() -> None:
    left = SearchedNight(
        NIGHT, CONDITIONS, (trial(0, 0, 2.0), trial(1, 0.1)), trial(1, 0.1).setting
    )
    record = NO_RECORD.after(left)
    assert settings_of_night(record, TYPED) == TYPED.model_copy(update={"half_life": 1.0})
    assert "from the next night on half_life 1" in record.told
    # Off, or with other hyper-parameters: what is typed.
    for names in ((), ("kept_bound",)):
        typed = TYPED.model_copy(update={"hyperparameters": names})
        assert settings_of_night(record, typed) == typed


def test_a_night_run_again_takes_the_place_of_its_search() -> None:
    night = SearchedNight(NIGHT, CONDITIONS, (trial(0, 0),), {})
    assert NO_RECORD.after(night).after(night).nights == (night,)


def test_a_record_of_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema 7"):
        HyperparameterRecord.from_json({"schema": 7})


def night_where(drift: float, rng: np.random.Generator, units: float) -> SearchedNight:
    """Where it drifts short half-lives are better, elsewhere long ones."""
    best = 1.0 if drift > 2 else 0.0
    trials = tuple(
        Trial(SPACE.named(s), units * (-abs(x[0] - best) + 0.1 * rng.standard_normal()), 0.1, 1)
        for s, x in zip(SPACE.settings(), SPACE.coordinates(SPACE.settings()), strict=True)
    )
    return SearchedNight(NIGHT, Conditions(drift, 0.5, 1000), trials, {})


def test_the_record_seeds_by_conditions_whatever_units_a_tenant_has() -> None:
    rng = np.random.default_rng(1)
    nights = [night_where(d, rng, u) for d, u in [(1, 1), (1.2, 100), (6, 1), (5, 100)]]
    for drift, best in ((1.1, None), (5.5, 1.0)):
        order = seeded_order(SPACE, nights, Conditions(drift, 0.5, 1000), seed=0)
        assert order[0][0] == best
        assert {s for s in SPACE.settings() if s[0] == best} <= {*order[:8]}
        assert sorted(order, key=str) == sorted(SPACE.settings(), key=str)


def test_without_a_record_the_order_is_random_by_the_seed() -> None:
    orders = [seeded_order(SPACE, [], CONDITIONS, seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    alike = SearchedNight(NIGHT, CONDITIONS, (trial(0, 0), trial(0, 0, 2.0)), {})
    assert SeedingModel.fitted(SPACE, [alike]) is None


def test_a_setting_that_scores_below_the_typed_one_goes_back(make_problem: Any) -> None:
    """Without proof: what a lucky night left does not hold until the next proof."""
    problem, typed = nights_of(make_problem(n=600)[0], 3), SPACE.of(TYPED)
    scores, stayed = PrequentialScores(problem, TYPED, SPACE, 1), set()
    for own in ((None, 0.2), (1.0, 0.2), (1.0, 0.99)):
        left = SPACE.named(own)
        past = NO_RECORD.after(SearchedNight("2026-11-19", CONDITIONS, (trial(0, 0),), left))
        night = searched(problem, past, hyperparameter_trials=1, hyperparameter_confidence=0.9999)
        told = night.nights[-1]
        asked = scores.trial(own, typed, scores.ages)
        assert told.trials[0].setting == SPACE.named(typed)
        assert asked in told.trials
        stays = asked.difference > 0
        assert told.chosen == SPACE.named(own if stays else typed)
        stayed.add(stays)
    assert False in stayed


def test_it_stays_while_it_scores_above_the_typed_one() -> None:
    assert still_better(None) is None
    assert still_better(trial(0.0, 0.0)) is None
    assert still_better(trial(0.001, 1.0)) == trial(0.001, 1.0)


@pytest.mark.parametrize(
    ("of", "wrong"),
    [
        ("trials", {"difference": float("nan")}),
        ("trials", {"difference": 1e200}),
        ("trials", {"standard_error": -1.0}),
        ("conditions", {"size": 0}),
        ("conditions", {"drift": float("inf")}),
    ],
)
def test_a_record_that_no_search_wrote_is_refused(of: str, wrong: dict[str, float]) -> None:
    """Another deployment's is read too, and one number of it would stop the night."""
    night = SearchedNight(NIGHT, CONDITIONS, (trial(0, 0), trial(1, 0.1)), {})
    data = NO_RECORD.after(night).to_json()
    assert HyperparameterRecord.from_json(data).nights == (night,)
    told = data["nights"][0][of]
    (told[1] if of == "trials" else told).update(wrong)
    with pytest.raises(ValueError, match="are what a search writes"):
        HyperparameterRecord.from_json(data)


def test_of_a_record_the_newest_nights_are_read() -> None:
    data = NO_RECORD.to_json()
    night = SearchedNight(NIGHT, CONDITIONS, (trial(0, 0),) * 259, {})
    data["nights"] = [NO_RECORD.after(night).to_json()["nights"][0]]
    with pytest.raises(ValueError, match="at most 258"):
        HyperparameterRecord.from_json(data)
    one = NO_RECORD.after(replace(night, trials=(trial(0, 0),))).to_json()["nights"][0]
    data["nights"] = [{**one, "night": f"{n}"} for n in range(100)]
    read = HyperparameterRecord.from_json(data).nights
    assert (len(read), read[0].night) == (90, "10")
