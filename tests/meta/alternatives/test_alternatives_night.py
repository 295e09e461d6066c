"""Trials of other settings of the behaviour model, night by night."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.meta.alternatives.alternatives_night import record_of_trials
from mrlm.meta.alternatives.alternatives_record import NOTHING_TRIED, AlternativesRecord, TriedNight
from mrlm.meta.alternatives.due_alternatives import changes_of_night, due_alternatives, typed_values
from mrlm.meta.hyperparameters.hyperparameter_record import Trial
from mrlm.worlds.latent import latent_log

BETTER, WORSE = {"epochs": 9}, {"hidden": 8}
NIGHT = "2026-12-01"


@dataclass(frozen=True)
class Noisy:
    """The truth of what a log showed, in another unit, with noise of some size."""

    exact: NDArray[np.float64]
    noise: float
    scale: float = 1.0
    heads: tuple[str, ...] = ("like",)

    @property
    def binary(self) -> tuple[bool, ...]:
        return (self.scale == 1,)

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        assert len(decisions) == len(self.exact)
        odds = np.log(self.exact / (1 - self.exact))
        shaken = odds + self.noise * np.random.default_rng(0).normal(size=len(odds))
        return self.scale / (1 + np.exp(-shaken[:, None]))


@pytest.fixture(scope="module")
def world() -> tuple[BanditLog, NDArray[np.float64]]:
    """A log, and how likely each shown item was to be liked."""
    log, truth = latent_log(n_users=250, decisions_per_user=8, n_candidates=4, seed=5)
    return log, truth[log.decisions.offsets[:-1] + log.action, 0].clip(0.01, 0.99)


def typed(*alternatives: dict[str, Any], **more: Any) -> BehaviourSettings:
    return BehaviourSettings(alternatives=alternatives, **more)


WAS_BETTER = AlternativesRecord(
    (TriedNight("2026-11-30", typed_values(typed(BETTER)), (Trial(BETTER, 1.0, 1.0, 1),), {}),)
)


@dataclass
class Nights:
    """A deployment whose models are as noisy as their settings say."""

    world: Any
    settings: BehaviourSettings
    noise: Callable[[BehaviourSettings], float]
    record: AlternativesRecord = NOTHING_TRIED
    fits: int = 0

    def fit(self, settings: BehaviourSettings) -> Any:
        self.fits += 1
        return Noisy(self.world[1], self.noise(settings))

    def run(self, many: int) -> Iterator[dict[str, Any]]:
        for _ in range(many):
            own = changes_of_night(self.record, self.settings)
            serving = Noisy(self.world[1], self.noise(self.settings.with_changes(own)))
            before = json.loads(json.dumps(self.record.to_json()))
            self.record = record_of_trials(
                AlternativesRecord.from_json(before),
                self.settings,
                serving,
                self.fit,
                self.world[0],
                f"2026-12-{len(self.record.nights) + 1:02d}",
            )
            yield self.record.nights[-1].chosen


def test_what_predicts_better_takes_over_the_next_night_and_goes_when_it_is_worse(world) -> None:
    good = {"epochs": 0.05}
    made = Nights(world, typed(BETTER), lambda s: good["epochs"] if s.epochs == 9 else 1.0)
    assert list(made.run(2)) == [{}, BETTER], "once may be the luck of a fit"
    trial = made.record.nights[-1].trials[0]
    assert trial.difference > 2 * trial.standard_error > 0
    assert "epochs 9 +" in made.record.told
    assert made.record.told.endswith("from the next night on epochs 9")
    assert list(made.run(1)) == [BETTER], "it stays, though no new proof is asked for"
    good["epochs"] = 2.0
    assert list(made.run(2)) == [{}, {}]
    assert made.record.told.endswith("the settings as they are typed")


def test_settings_that_predict_alike_take_over_seldom(world) -> None:
    """At .95 about 10 of 200 nights; 18 is the 99 % quantile of so many."""
    log, exact = world
    rng = np.random.default_rng(3)
    taken = 0
    for _ in range(200):
        one, other = (_shaken(exact, rng) for _ in range(2))
        fit = partial(_unread, Noisy(other, 0.0))
        record = record_of_trials(WAS_BETTER, typed(BETTER), Noisy(one, 0.0), fit, log, NIGHT)
        taken += record.nights[-1].chosen != {}
    assert 2 <= taken <= 18


def _unread(model: Noisy, _: BehaviourSettings) -> Any:
    return model


def _shaken(exact: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    odds = np.log(exact / (1 - exact)) + 0.3 * rng.normal(size=len(exact))
    shaken: NDArray[np.float64] = 1 / (1 + np.exp(-odds))
    return shaken


def test_a_poor_alternative_costs_ever_less(world) -> None:
    made = Nights(world, typed(WORSE), lambda s: 2.0 if s.hidden == 8 else 0.1)
    fits = []
    for _ in made.run(16):
        fits.append(made.fits)
    assert [n for n in range(16) if fits[n] > (fits[n - 1] if n else 0)] == [0, 2, 6, 14]


def test_the_same_night_again_is_no_second_trial(world) -> None:
    made = Nights(world, typed(BETTER), lambda s: 0.05 if s.epochs == 9 else 1.0)
    log, exact = world
    serving = Noisy(exact, 1.0)
    record = NOTHING_TRIED
    for night, chosen in (("2026-12-01", {}), ("2026-12-01", {}), ("2026-12-02", BETTER)):
        record = record_of_trials(record, made.settings, serving, made.fit, log, night)
        assert record.nights[-1].chosen == chosen


def test_each_alternative_has_its_turn(world) -> None:
    third = {"dropout": 0.5}
    settings = typed(BETTER, WORSE, third, alternatives_a_night=2)
    made = Nights(world, settings, lambda _: 0.5)
    list(made.run(1))
    assert [t.setting for t in made.record.nights[0].trials] == [BETTER, WORSE]
    assert due_alternatives(made.record, settings)[0] == third


def test_other_typed_settings_begin_anew(world) -> None:
    made = Nights(world, typed(BETTER), lambda s: 0.05 if s.epochs == 9 else 1.0)
    list(made.run(2))
    assert changes_of_night(made.record, typed(BETTER)) == BETTER
    assert changes_of_night(made.record, typed(BETTER, dropout=0.4)) == {}
    assert changes_of_night(made.record, typed(WORSE)) == {}
    assert due_alternatives(made.record, typed(BETTER, dropout=0.4)) == [BETTER]


def test_a_night_whose_rewards_are_not_known_tries_nothing(world) -> None:
    log, truth = world
    open_log = replace(log, final=np.zeros_like(log.final))
    made = Nights((open_log, truth), typed(BETTER), lambda _: 0.1)
    assert list(made.run(1)) == [{}]
    assert made.fits == 0
    assert "none was due" in made.record.told


def test_a_reward_that_is_no_probability_is_compared_by_its_error(world) -> None:
    log, exact = world
    rated = replace(log, rewards=1e4 * log.rewards)

    def fit(settings: BehaviourSettings) -> Any:
        return Noisy(exact, 0.0 if settings.epochs == 9 else 3.0, scale=1e4)

    settings = typed(BETTER)
    record = record_of_trials(WAS_BETTER, settings, fit(settings), fit, rated, NIGHT)
    assert record.nights[-1].chosen == BETTER
    assert 0 < record.nights[-1].trials[0].difference < 3


def test_a_fitted_model_that_learned_beats_one_that_hardly_did() -> None:
    log, _ = latent_log(n_users=400, decisions_per_user=8, n_candidates=4, seed=2, nights=2)
    first, second = np.unique(log.night).astype(str)
    small = {"folds": 2, "components": 4, "hidden": 8, "projection": 4, "learning_rate": 1e-5}
    settings = typed({"learning_rate": 0.01, "epochs": 8}, model="pair", epochs=1, **small)
    fit_log, later = log.on_nights([first]), log.on_nights([second])

    def fit(given: BehaviourSettings) -> Any:
        return fit_reward_model(fit_log, given, seed=0)

    serving = fit(settings)
    record = record_of_trials(NOTHING_TRIED, settings, serving, fit, later, str(first))
    assert record == record_of_trials(NOTHING_TRIED, settings, serving, fit, later, str(first))
    record = record_of_trials(record, settings, serving, fit, later, str(second))
    assert record.nights[-1].chosen == {"learning_rate": 0.01, "epochs": 8}


@pytest.mark.parametrize(
    ("alternative", "told"),
    [
        ({}, "changes one setting at least"),
        ({"alternatives": []}, "changes one setting at least"),
        ({"scene_heads": True}, "changes one setting at least"),
        ({"epoch": 3}, r"behaviour.alternatives\[0\]: epoch: Extra inputs are not permitted"),
        ({"history": {"factors": 0}}, r"alternatives\[0\]: history.factors: Input should be"),
        ({"model": "tree"}, r"alternatives\[0\]: model: Input should be 'pair'"),
        ({"model": "history"}, r"alternatives\[0\]: the same settings as they are typed"),
    ],
)
def test_an_alternative_that_is_none_is_refused(alternative: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        typed(alternative)


def test_a_table_keeps_what_an_alternative_does_not_name() -> None:
    settings = typed({"history": {"factors": 32}}, history={"rounds": 5})
    changed = settings.with_changes(settings.alternatives[0])
    assert (changed.history.factors, changed.history.rounds) == (32, 5)
    assert changed.alternatives == ()


def test_a_record_of_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="has schema 9"):
        AlternativesRecord.from_json({"schema": 9, "nights": []})
