"""Descriptions as few numbers, and that a scene which nobody saw is served better by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.embeddings.hashing import HashingEncoder
from mrlm.meta.problem.coefficient_sums import centred_features
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.meta.segments.scene_choice import scene_choice
from mrlm.meta.segments.scene_features import scene_features
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune

FILMS = ("long films", "films for a family", "films of a festival", "old films")
CLIPS = ("short clips", "clips of a concert", "clips for children", "new clips")
PLACES = dict.fromkeys(FILMS, "to watch at home on the television in the evening") | dict.fromkeys(
    CLIPS, "to look at on the way with a telephone between two stops"
)
SETTINGS = TuningSettings(least_entropy=0.3, least_effective_rows=1)


@pytest.fixture(scope="module")
def described():
    vectors = HashingEncoder(64).encode([f"{name} {PLACES[name]}" for name in PLACES])
    return dict(zip(PLACES, vectors, strict=True))


def test_the_first_component_tells_the_two_kinds_apart(described):
    tables = scene_features(described, [*PLACES, "never described"], 2)
    assert [t.shape for t in tables] == [(9, 1), (9, 2)]
    first = tables[0][:, 0]
    assert first[:8].std() == pytest.approx(1.0)
    assert (np.sign(first[:4]) == -np.sign(first[4:8])).all()
    assert first[8] == 0.0
    assert len(scene_features(described, list(PLACES), 9)) == 3
    assert scene_features(described, list(PLACES), 0) == []
    assert scene_features(dict.fromkeys(PLACES, described[FILMS[0]]), list(PLACES), 2) == []
    assert scene_features({n: described[n] for n in FILMS[:2]}, list(PLACES), 2) == []


def wanting(make_problem, *, apart):
    """Scenes of films want the second feature, of clips the third; or all both, half."""
    n = 4000
    problem, _ = make_problem(n=n, users=n, missing=0.0, component=False)
    names = np.array([*FILMS[:3], *CLIPS], object)
    scene = names[np.arange(n) % len(names)]
    films = np.repeat(np.isin(scene, FILMS), np.diff(problem.offsets))
    share = np.where(films, 0.5 + apart, 0.5 - apart)
    features = centred_features(problem)
    wanted = 0.3 * (share * features[:, 1] + (1 - share) * features[:, 2])
    noise = np.random.default_rng(0).normal(0, 0.4, n)
    reward = (problem.q[:, 0] + wanted)[problem.shown] + noise
    film = problem.q[:, 0] + 0.3 * ((0.5 + apart) * features[:, 1] + (0.5 - apart) * features[:, 2])
    return replace(problem, rewards=reward[:, None]), scene, film


def test_a_scene_that_was_never_shown_is_served_better_by_its_description(make_problem, described):
    """The true value for the fourth scene of films, on the states of all."""
    problem, scene, film = wanting(make_problem, apart=0.5)
    common = tune(problem, SETTINGS).point
    found = scene_choice(problem, SETTINGS, scene, common, 0, described)
    assert found.unseen == (FILMS[3],)
    assert set(found.points) == set(PLACES)
    policy = TunedSoftmax(problem)
    own, overall, champion = (
        float(policy.probabilities(p) @ film)
        for p in (found.points[FILMS[3]], common, policy.champion_point)
    )
    assert own - champion > 1.2 * (overall - champion) > 0
    # Without descriptions there is nothing to say of it.
    assert FILMS[3] not in scene_choice(problem, SETTINGS, scene, common, 0).points


def test_descriptions_that_tell_nothing_are_not_gone_by(make_problem, described):
    problem, scene, _ = wanting(make_problem, apart=0.0)
    common = tune(problem, SETTINGS).point
    found = scene_choice(problem, SETTINGS, scene, common, 0, described)
    assert found.points == {}
    assert found.unseen == ()
