"""Gates by scene: they move where scenes differ, stay where not, and are served as kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm import BehaviourSettings, fit_reward_model, latent_log
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.ensemble.storage import load_reward_model
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.meta.adaptation.scene_layers import with_scene_heads
from mrlm.metrics.ranking import auc

SMALL = BehaviourSettings(model="pair", folds=2, components=4, hidden=8, projection=4, epochs=3)
HOME, OTHER = "home", "other"


@pytest.fixture(scope="module")
def log():
    """Two scenes by chance, alike in all."""
    made, _ = latent_log(n_users=300, decisions_per_user=8, n_candidates=4, seed=0)
    scene = np.where(np.random.default_rng(1).random(len(made)) < 0.5, HOME, OTHER).astype(object)
    return replace(made, decisions=replace(made.decisions, scene=scene))


@pytest.fixture(scope="module")
def model(log):
    return fit_reward_model(log, SMALL, seed=0)


def turned(log):
    """The same with likes turned round in one scene."""
    rewards, other = log.rewards.copy(), log.decisions.scene == OTHER
    column = log.column("like")
    rewards[other, column] = 1.0 - rewards[other, column]
    return replace(log, rewards=rewards)


def moved(model, log):
    """How far the gates of likes are from 1, root mean square."""
    heads = with_scene_heads(model, log).scenes
    like = model.heads.index("like")
    own = model.networks.head[:, None, :, like]
    return float(np.sqrt(np.mean((heads.weight[..., like] / own) ** 2)))


def test_gates_move_where_scenes_differ_and_within_their_bounds(model, log):
    assert moved(model, log) < 0.1 < 0.3 < moved(model, turned(log)) <= 1.0


def test_decisions_that_were_not_learned_from_are_ranked_better(model, log):
    truth = turned(log)
    half = np.arange(len(log)) % 2 == 0
    adapted = with_scene_heads(model, truth.take(np.flatnonzero(half)))
    column = log.column("like")
    kept = ~half & (log.decisions.scene == OTHER) & np.isfinite(log.rewards[:, column])

    def area(of):
        predicted = of.score(shown_only(truth))[kept, of.heads.index("like")]
        return auc(truth.rewards[kept, column], predicted)

    assert area(model) < 0.48
    assert area(adapted) > 0.52


def test_gates_leave_a_scenes_level_as_it_was(model, log):
    adapted = with_scene_heads(model, turned(log))
    decisions = shown_only(log)
    hidden, _ = model.hidden(decisions)
    code = adapted.scenes.code(decisions.scene)
    added = adapted.scenes.added(hidden, code)
    fold = user_folds(decisions.user, model.folds, crc())
    like = model.heads.index("like")
    known = np.isfinite(log.rewards[:, log.column("like")])
    for member in range(model.folds):
        for s in range(2):
            own = added[member, (fold == member) & known & (code == s), like]
            assert abs(own).max() > 0.05
            assert own.mean() == pytest.approx(0, abs=1e-9)


def test_it_is_kept_as_it_is_and_other_scenes_have_the_shared_layer(model, log, tmp_path):
    adapted = with_scene_heads(model, turned(log))
    adapted.save(tmp_path)
    assert (load_reward_model(tmp_path).score(log.decisions) == adapted.score(log.decisions)).all()
    assert np.abs(adapted.score(log.decisions) - model.score(log.decisions)).max() > 0.01
    new = replace(log.decisions, scene=np.full(len(log), "never met", object))
    assert (adapted.score(new) == model.score(new)).all()


def test_one_scene_changes_nothing(model, log):
    alone = replace(log.decisions, scene=np.full(len(log), HOME, object))
    assert with_scene_heads(model, replace(log, decisions=alone)) is model
