"""A night's meta-update from a log to a challenger, without a night."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mrlm.bandit_log import Ragged
from mrlm.bandit_log.histories import Histories
from mrlm.bandit_log.segment_labels import HISTORY_BANDS
from mrlm.meta import tuned_night as tuned_night_module
from mrlm.meta.hyperparameters.hyperparameter_record import NO_RECORD, HyperparameterRecord
from mrlm.meta.problem.judged_groups import JudgedGroups
from mrlm.meta.problem.objective_lifts import objective_lifts
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.meta.search.step_limits import EffectiveSampleSize
from mrlm.meta.segments.scene_choice import scene_choice
from mrlm.meta.settings import TuningSettings
from mrlm.meta.state.meta_state import MetaState
from mrlm.meta.strategies.registry import STRATEGIES
from mrlm.meta.tuned_night import TunedNight, tuned_night
from mrlm.meta.update import update
from mrlm.privacy.decision_groups import group_labels
from tests.evidence.arrays import OBJECTIVES, Heads, Prefers, make_log

NIGHTS = ("2026-11-19", "2026-11-20")
CHAMPION = Prefers(0.2, floor=0.1)
BEFORE = {"delight": 0.5, "like": 0.3, "fresh": 0.2}


def tuned(
    log: Any = None,
    past: HyperparameterRecord = NO_RECORD,
    judged: JudgedGroups | None = None,
    **settings: Any,
) -> TunedNight:
    return tuned_night(
        make_log(n=600, users=120, nights=NIGHTS) if log is None else log,
        OBJECTIVES,
        (Heads(),),
        CHAMPION,
        MetaState(),
        TuningSettings(least_effective_rows=50, change_confidence=None, **settings),
        nights=NIGHTS,
        learned=(),
        horizon=(),
        weights=BEFORE,
        seed=1,
        past=past,
        judged=judged,
    )


def test_the_challenger_is_the_policy_that_the_point_means() -> None:
    log = make_log(n=600, users=120, nights=NIGHTS)
    found = tuned(log)
    assert found.result.moved
    served = np.exp(found.policy.log_probabilities(log.decisions))
    meant = TunedSoftmax(found.inputs.problem).probabilities(found.result.point)
    assert served == pytest.approx(meant, abs=1e-9)
    assert found.result.lift.lower > 0
    assert list(found.inputs.scene) == list(log.decisions.scene)


def test_hyperparameters_are_searched_where_some_may_move() -> None:
    off, on = tuned(), tuned(hyperparameters=("half_life",), hyperparameter_trials=2)
    assert off.record is None
    assert on.record is not None
    (night,) = on.record.nights
    assert night.night == NIGHTS[-1]
    assert len(night.trials) == 3
    # Tonight is tuned by what the nights before left; the search is for the next.
    assert on.result == off.result
    assert on.to_json()["hyperparameters"] == on.record.to_json()


def test_what_the_last_search_left_is_tuned_by() -> None:
    may_move = {"hyperparameters": ("half_life",), "hyperparameter_trials": 1}
    searched = tuned(**may_move).record
    assert searched is not None
    left = replace(searched.nights[-1], night="2026-11-18", chosen={"half_life": 1.0})
    found = tuned(past=replace(searched, nights=(left,)), **may_move)
    assert found.result == tuned(half_life=1.0).result
    assert found.record is not None
    assert len(found.record.nights) == 2


def test_what_is_told_is_plain_and_the_same_again() -> None:
    one, two = (json.dumps(tuned().to_json(), sort_keys=True) for _ in range(2))
    assert one == two
    told = json.loads(one)
    assert set(told) == {"weights", "tuning", "state", "pareto"}
    assert set(told["tuning"]["strategies"]) == set(STRATEGIES)
    assert told["tuning"]["lifts"]["delight"]["value"] == pytest.approx(
        told["tuning"]["lift"]["value"]
    )
    assert told["state"]["point"] == told["weights"]["point"]
    assert sum(told["weights"]["objectives"].values()) == pytest.approx(1.0)


def test_without_evidence_the_challenger_is_the_champion_and_weights_stay() -> None:
    log = make_log(n=600, users=120, nights=NIGHTS)
    rewards = log.rewards.copy()
    rewards[:, 0] = np.random.default_rng(0).normal(size=len(rewards))
    found = tuned(replace(log, rewards=rewards))
    assert not found.result.moved
    assert found.policy is CHAMPION
    assert found.weights == pytest.approx(BEFORE)
    assert found.lifts["delight"].value == 0.0


def divided() -> Any:
    """Delight rises with the item's code at home, and falls, half as much, on the page."""
    log = make_log(n=1200, users=240, nights=NIGHTS)
    rewards = log.rewards.copy()
    code = log.decisions.candidates.values[log.shown] / 5
    noise = np.random.default_rng(5).normal(0, 0.1, len(log))
    rewards[:, 0] = np.where(log.decisions.scene == "home", 1.0, -0.5) * code + noise
    return replace(log, rewards=rewards)


def test_a_scene_that_the_gate_would_refuse_for_limits_the_night() -> None:
    log = divided()
    judged = JudgedGroups.of(log, 20, 0.2)
    assert [name for name in judged.names if name[0] == "scene"] == [
        ("scene", "home"),
        ("scene", "page"),
    ]
    for k, (kind, label) in enumerate(group_labels(log, 20).items()):
        told = [judged.names[code] for code in judged.code[:, k]]
        assert told == [(kind, str(name)) for name in label]
    assert tuned(log).result.moved
    found = tuned(log, judged=judged).result
    assert found.lift.value < tuned(log).result.lift.value
    assert "what scene page would lose of delight" in (found.reason, *found.limited_by)[-1]


def of_two_providers(log: Any) -> Any:
    """Items of even codes are of one provider, the others of another."""
    catalog = log.decisions.catalog
    provider = np.array([f"p{code % 2}" for code in range(len(catalog))], dtype=object)
    return replace(
        log, decisions=replace(log.decisions, catalog=replace(catalog, provider=provider))
    )


def test_a_floor_of_an_effective_number_is_reached_and_served() -> None:
    log = of_two_providers(make_log(n=600, users=120, nights=NIGHTS))
    free = tuned(log, diversity_floors={"providers": 1.0}).floors["effective providers"]
    least = free.chosen + 0.7 * (2.0 - free.chosen)
    found = tuned(log, diversity_floors={"providers": least})
    assert found.result.moved
    kept = found.floors["effective providers"]
    assert (kept.least, kept.champion) == (least, free.champion)
    assert kept.chosen >= least * (1 - 2e-3)
    served = np.exp(found.policy.log_probabilities(log.decisions))
    provider = log.decisions.catalog.provider[log.decisions.candidates.values]
    share = np.array([served[provider == name].sum() for name in ("p0", "p1")]) / len(log)
    assert np.exp(-(share @ np.log(share))) == pytest.approx(kept.chosen, rel=1e-6)
    told = json.loads(json.dumps(found.to_json()))["tuning"]
    assert told["floors"]["effective providers"]["chosen"] == kept.chosen
    assert "rarity_of_providers" in told["columns"]
    assert "floors" not in tuned(log).to_json()["tuning"]


def test_scenes_keep_a_floor_of_an_effective_number_together() -> None:
    log, asked = of_two_providers(divided()), {"segments": "scene", "guardrail_z": 0.0}
    free = tuned(log, diversity_floors={"providers": 1.0}, **asked).floors["effective providers"]
    least = (free.chosen + 2.0) / 2
    found = tuned(log, diversity_floors={"providers": least}, **asked)
    assert found.scenes is not None
    assert found.scenes.points
    kept = found.floors["effective providers"]
    assert free.chosen < least * (1 - 2e-3) <= kept.chosen
    assert found.scenes.to_json()["floors"]["effective providers"]["chosen"] == kept.chosen


def test_a_scene_with_weights_of_its_own_does_not_limit_what_the_others_get() -> None:
    log = divided()
    judged = JudgedGroups.of(log, 20, 0.2)
    asked = {"segments": "scene", "guardrail_z": 0.0}
    free, found = tuned(log, **asked), tuned(log, judged=judged, **asked)
    assert found.result == free.result
    assert found.scenes is not None
    assert found.scenes.points.keys() == {"home", "page"}
    kept = found.inputs.problem.judged
    assert kept is not None
    assert np.array_equal(kept.code, judged.code)
    # Where no segment has any, the common point is all that is served.
    alone = tuned(log, judged=judged, segments="history", guardrail_z=0.0)
    assert alone.scenes is None or not alone.scenes.points
    assert alone.result == tuned(log, judged=judged, guardrail_z=0.0).result


def test_a_step_that_harms_no_group_is_searched_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log = make_log(n=600, users=120, nights=NIGHTS)
    judged = JudgedGroups.of(log, 20, 0.2)
    asked = {"segments": "history", "guardrail_z": 0.0}
    expected = tuned(log, judged=judged, guardrail_z=0.0)
    updates: list[object] = []
    monkeypatch.setattr(tuned_night_module, "update", lambda *a: updates.append(a) or update(*a))
    found = tuned(log, judged=judged, **asked)
    assert found.scenes is None or not found.scenes.points
    assert len(updates) == 1
    assert found.result.moved
    assert found.result == expected.result


def test_scenes_that_want_different_things_are_served_differently() -> None:
    log = divided()
    found = tuned(log, segments="scene", guardrail_z=0.0)
    assert found.scenes is not None
    assert set(found.scenes.points) == {"home", "page"}
    served = np.exp(found.policy.log_probabilities(log.decisions))
    policy, offsets = TunedSoftmax(found.inputs.problem), log.decisions.offsets
    for scene, point in found.scenes.points.items():
        there = np.repeat(log.decisions.scene == scene, np.diff(offsets))
        assert served[there] == pytest.approx(policy.probabilities(point)[there], abs=1e-9)
    told = json.loads(json.dumps(found.to_json()))["tuning"]["scenes"]
    assert told["lifts"]["delight"]["value"] > 1.2 * found.result.lift.value
    assert found.lifts["delight"].value == told["lifts"]["delight"]["value"]
    assert found.lifts["delight"].certified < found.lifts["delight"].lower
    # Whoever knows no scene of a decision serves it as all are served.
    elsewhere = replace(log.decisions, scene=np.full(len(log), "new", object))
    assert np.exp(found.policy.log_probabilities(elsewhere)) == pytest.approx(
        policy.probabilities(found.result.point), abs=1e-9
    )


def test_users_with_and_without_a_history_are_served_differently() -> None:
    """Those of one scene have twelve items in theirs, those of the other none."""
    log = divided()
    size = np.where(log.decisions.scene == "home", 12, 0)
    offsets = np.append(0, np.cumsum(size)).astype(np.int64)
    lists = Ragged(offsets, np.zeros(offsets[-1], np.int32))
    histories = Histories.of_lists(lists, np.ones(offsets[-1], np.float32))
    decisions = replace(log.decisions, histories=histories, since=offsets[:-1], until=offsets[1:])
    found = tuned(replace(log, decisions=decisions), segments="history", guardrail_z=0.0)
    assert found.scenes is not None
    assert set(found.scenes.points) == {HISTORY_BANDS[0], HISTORY_BANDS[2]}
    assert set(found.inputs.scene) == set(found.scenes.points)
    served = np.exp(found.policy.log_probabilities(decisions))
    policy = TunedSoftmax(found.inputs.problem)
    for band, point in found.scenes.points.items():
        there = np.repeat(found.inputs.scene == band, np.diff(decisions.offsets))
        assert served[there] == pytest.approx(policy.probabilities(point)[there], abs=1e-9)


def test_scenes_that_want_the_same_keep_the_common_point() -> None:
    found, plain = tuned(segments="scene"), tuned()
    assert found.scenes is not None
    assert found.scenes.points == {}
    assert found.policy.scenes == ()  # type: ignore[attr-defined]
    assert found.result == plain.result
    assert "scenes" not in plain.to_json()["tuning"]


def test_weights_by_scene_keep_to_what_all_keep_to() -> None:
    given = tuned(divided(), guardrail_z=0.0)
    inputs, overall = given.inputs, given.result.point
    for limit, named in (
        ({"guardrail_z": 1e3}, "guardrail like"),
        ({"guardrail_z": 0.0, "least_effective_rows": 10**6}, "effective sample size"),
    ):
        settings = inputs.settings.model_copy(update=limit)
        found = scene_choice(inputs.problem, settings, inputs.scene, overall, 1)
        assert found.points == {}
        assert named in found.reason
    assert scene_choice(inputs.problem, inputs.settings, inputs.scene, overall, 1).points
    one = np.full(len(inputs.scene), "home", object)
    assert scene_choice(inputs.problem, inputs.settings, one, overall, 1).points == {}


@pytest.mark.parametrize(
    ("limit", "named"),
    [({"least_entropy": 0.99}, "entropy"), ({"kl_cap": "always", "max_kl": 1e-6}, "KL cap")],
)
def test_weights_by_scene_keep_to_floors_and_caps(
    limit: dict[str, float], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = tuned(divided(), guardrail_z=0.0).inputs
    near, far = (np.array([1.0, weight, 0.0, 0.0]) for weight in (0.05, 0.1))
    monkeypatch.setattr("mrlm.meta.segments.scene_choice.segment_point", lambda *_: far)
    assert scene_choice(inputs.problem, inputs.settings, inputs.scene, near, 1).points
    strict = inputs.settings.model_copy(update=limit)
    found = scene_choice(inputs.problem, strict, inputs.scene, near, 1)
    assert found.points == {}
    assert named in found.reason


def test_scenes_that_weigh_what_looks_ahead_keep_to_its_cap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = tuned(divided(), guardrail_z=0.0).inputs
    settings = given.settings.model_copy(update={"max_kl": 1e-6})
    near, far = (np.array([1.0, weight, 0.0, 0.0]) for weight in (0.05, 0.1))
    monkeypatch.setattr("mrlm.meta.segments.scene_choice.segment_point", lambda *_: far)
    for ahead, named in ((given.problem.columns[0], "KL cap"), (given.problem.columns[1], "want")):
        problem = replace(given.problem, horizon=(ahead,))
        found = scene_choice(problem, settings, given.scene, near, 1)
        assert named in found.reason
        assert bool(found.points) is (named == "want")


def test_scenes_go_part_of_their_way_where_the_whole_breaks_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = tuned(divided(), guardrail_z=0.0).inputs
    near, far = (np.array([1.0, weight, 0.0, 0.0]) for weight in (0.05, 1.05))
    monkeypatch.setattr("mrlm.meta.segments.scene_choice.segment_point", lambda *_: far)
    found = scene_choice(inputs.problem, inputs.settings, inputs.scene, near, 1)
    assert "of their way to keep to every limit" in found.reason
    point, other = found.points.values()
    assert point.tolist() == other.tolist()
    share = round(float((point - near)[1]), 9)
    assert share in (0.5, 0.25, 0.125)
    policy = TunedSoftmax(inputs.problem)
    (like,) = (x for x in objective_lifts(inputs.problem, policy) if x.name == "like")
    twice = near + 2 * share * (far - near)
    assert found.lifts["like"].lower >= -0.02 > like.lift(twice, 0.0).lower
    sample = EffectiveSampleSize(inputs.problem, policy, np.ones(1200, np.bool_), 1)
    assert found.effective_sample_size == pytest.approx(sample.of(point))
    assert found.kl == pytest.approx(policy.divergence(point)[0])
