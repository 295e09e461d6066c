"""What users of a scene are like, and that a scene of few decisions is served better by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mrlm.meta.segments.scene_users as module
from mrlm.bandit_log import Ragged
from mrlm.meta.problem.coefficient_sums import centred_features
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.meta.segments.scene_choice import scene_choice
from mrlm.meta.segments.scene_users import drawn_to_mean, scene_users
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from tests.evidence.arrays import make_log

SETTINGS = TuningSettings(least_entropy=0.3, least_effective_rows=1)
SCENES = np.array([f"scene {s}" for s in range(9)], object)
NEW, FEW = "scene 8", 10


def test_every_user_counts_once_in_a_scene(monkeypatch) -> None:
    monkeypatch.setattr(module, "drawn_to_mean", lambda total, _, users: total / users[:, None])
    decisions = make_log(n=4).decisions
    decisions = replace(
        decisions,
        catalog=replace(decisions.catalog, embedding=np.eye(6, dtype=np.float32)),
        user=np.array(["a", "a", "b", "b"], object),
        scene=np.array(["home", "home", "home", "page"], object),
    )
    items = Ragged(np.array([0, 0, 2, 3, 13]), np.array([0, 1, 2, *[3] * 10], np.int32))
    decisions = decisions.with_history(items, np.ones(13, np.float32))
    # Of two users one with nothing at first and then two items, the other with one.
    home = [0.125, 0.125, 0.5, 0, 0, 0, 0.25, 0.75, 0]
    monkeypatch.setattr("mrlm.bandit_log.decisions.BLOCK", 1)
    found = scene_users(decisions)
    assert found["home"] == pytest.approx(home)
    assert found["page"] == pytest.approx([0, 0, 0, 1, 0, 0, 0, 0, 1])
    bare = replace(decisions, catalog=replace(decisions.catalog, embedding=None))
    assert scene_users(bare)["home"] == pytest.approx(home[6:])


def drawn(apart: float) -> np.ndarray:
    """Of ten scenes with 200 users each and one with ten; states have a variance of one."""
    g = np.random.default_rng(0)
    users = np.array([*[200] * 10, 10])
    code = np.repeat(np.arange(11), users)
    states = apart * g.normal(size=(11, 4))[code] + g.normal(size=(len(code), 4))
    total = np.stack([states[code == s].sum(axis=0) for s in range(11)])
    square = np.bincount(code, weights=(states**2).sum(axis=1))
    return drawn_to_mean(total, square, users.astype(float)), total / users[:, None]


def test_a_scene_is_drawn_to_all_as_far_as_chance_may_set_it_apart() -> None:
    found, mean = drawn(0.3)
    kept = [
        float(np.linalg.norm(found[s] - found[1]) / np.linalg.norm(mean[s] - mean[1]))
        for s in (0, 2)
    ]
    assert min(kept) > 0.9
    center = mean.mean(axis=0)
    assert np.linalg.norm(found[10] - center) < 0.7 * np.linalg.norm(mean[10] - center)
    silent, mean = drawn(0.0)
    assert np.abs(silent - silent[0]).max() < 0.2 * np.abs(mean - mean[0]).max()


def planted(make_problem, *, seed=0):
    """Even scenes want the second feature, odd ones the third; the last has ten decisions."""
    n = 4000
    problem, _ = make_problem(seed=seed, n=n, users=n, missing=0.0, component=False)
    place = np.arange(n) % 8
    place[:FEW] = 8
    features = centred_features(problem)
    wants = np.where(place % 2 == 0, 1, 2).repeat(np.diff(problem.offsets))
    means = problem.q[:, 0] + 0.3 * features[np.arange(len(wants)), wants]
    noise = np.random.default_rng(seed).normal(0, 0.4, n)
    of_new = problem.q[:, 0] + 0.3 * features[:, 1]
    reward = means[problem.shown] + noise
    return replace(problem, rewards=reward[:, None]), SCENES[place], of_new


def users(*, tell, seed=0):
    """Vectors of the scenes' users, near two places that are those of the two wants, or of none."""
    g = np.random.default_rng(seed)
    kind = np.arange(9) % 2 if tell else g.permutation(np.arange(9) // 2 % 2)
    vectors = 2.0 * kind[:, None] * np.eye(1, 5) + g.normal(0, 0.2, (9, 5))
    return dict(zip(SCENES, vectors, strict=True))


def test_a_scene_of_few_decisions_is_served_better_by_its_users(make_problem) -> None:
    problem, scene, of_new = planted(make_problem)
    common = tune(problem, SETTINGS).point
    told = scene_choice(problem, SETTINGS, scene, common, 0, users=users(tell=True))
    plain = scene_choice(problem, SETTINGS, scene, common, 0)
    policy = TunedSoftmax(problem)
    by_users, alone, champion = (
        float(policy.probabilities(p) @ of_new)
        for p in (told.points[NEW], plain.points[NEW], policy.champion_point)
    )
    assert by_users - champion > 1.1 * (alone - champion) > 0
    # Of a scene that nobody came to there are no users to tell.
    described = {f"told {s}": np.eye(4)[s] for s in range(4)}
    found = scene_choice(problem, SETTINGS, scene, common, 0, described, users(tell=True))
    assert found.unseen == ()


def test_users_that_say_nothing_change_nothing(make_problem) -> None:
    problem, scene, _ = planted(make_problem)
    common = tune(problem, SETTINGS).point
    silent = scene_choice(problem, SETTINGS, scene, common, 0, users=users(tell=False))
    plain = scene_choice(problem, SETTINGS, scene, common, 0)
    assert all((silent.points[s] == plain.points[s]).all() for s in SCENES)
