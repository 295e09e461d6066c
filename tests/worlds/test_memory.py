from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log import Objective
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.worlds.memory import replay_log, to_log
from mrlm.worlds.objectives import DEMO_OBJECTIVES
from mrlm.worlds.ratings import CompleteRatings
from mrlm.worlds.replayed import ReplayedWorld
from tests.history_value import history_value


def test_truth_at_the_shown_item_is_the_reward(ratings: CompleteRatings) -> None:
    log, truth = replay_log(ratings, seed=3)
    assert truth.shape == (log.decisions.offsets[-1], len(DEMO_OBJECTIVES))
    np.testing.assert_array_equal(truth[log.shown], log.rewards)
    assert np.isfinite(truth).all()
    assert log.final.all()
    assert len(set(log.decisions.user)) > 190, "copies of a user are users of their own"


def test_truth_comes_from_the_complete_ratings(
    ratings: CompleteRatings, world: ReplayedWorld
) -> None:
    log, truth = to_log(world)
    stars = {
        (str(ratings.user_id[u]), int(ratings.item[i])): ratings.rating[i]
        for u in range(40)
        for i in range(ratings.offsets[u], ratings.offsets[u + 1])
    }
    decisions = log.decisions
    own = np.flatnonzero(np.isin(decisions.user, ratings.user_id[:40]))
    for d in own[:: len(own) // 200]:
        for n in range(decisions.offsets[d], decisions.offsets[d + 1]):
            given = stars[decisions.user[d], int(decisions.candidates.values[n])]
            assert truth[n, log.column("like")] == (given >= 4)


def test_history_and_list_hold_what_was_shown_before(ratings: CompleteRatings) -> None:
    log, _ = replay_log(ratings, seed=4, users=20, history_length=10)
    decisions = log.decisions
    assert (np.diff(decisions.ts) >= np.timedelta64(0)).all()
    shown = decisions.candidates.values[log.shown]
    value = log.rewards[:, log.column("relative_rating")]
    for d in range(len(log)):
        mine = np.flatnonzero(decisions.user == decisions.user[d])
        before = mine[decisions.ts[mine] < decisions.ts[d]][-10:]
        np.testing.assert_array_equal(decisions.history[d], shown[before])
        own = slice(decisions.history.offsets[d], decisions.history.offsets[d + 1])
        np.testing.assert_allclose(history_value(decisions)[own], value[before], rtol=1e-6)
        above = mine[(decisions.ts[mine] == decisions.ts[d]) & (mine < d)]
        np.testing.assert_array_equal(decisions.above[d], shown[above])
        assert len(above) == decisions.position[d] - 1
        assert not np.isin(decisions.candidates[d], shown[above]).any()


def test_a_delayed_reward_is_unknown_on_its_own_night(ratings: CompleteRatings) -> None:
    log, _ = replay_log(ratings, seed=4, users=20, history_objective="delight")
    history = log.decisions.history
    night_of = {
        (log.decisions.user[d], int(log.decisions.candidates.values[log.shown[d]])): log.night[d]
        for d in range(len(log))
    }
    row = history.row
    same = np.array(
        [
            night_of[log.decisions.user[r], int(c)] == log.night[r]
            for r, c in zip(row, history.values, strict=True)
        ]
    )
    np.testing.assert_array_equal(np.isnan(history_value(log.decisions)), same)
    assert same.any()


def test_the_logger_is_one_of_the_policies(ratings: CompleteRatings) -> None:
    log, _ = replay_log(ratings, seed=5)
    term = Term("popularity", log=True, centre=0.0, scale=1.0, coefficient=0.5)
    clone = ItemSoftmax(terms=(term,), floor=0.2)
    np.testing.assert_allclose(
        np.exp(clone.log_probabilities(log.decisions)), log.candidate_propensity, rtol=1e-9
    )


def test_an_event_the_world_lacks_is_named(ratings: CompleteRatings) -> None:
    click = Objective(name="click", source="feedback", event="click")
    with pytest.raises(ValueError, match="no event 'click'"):
        replay_log(ratings, seed=0, users=5, objectives=(click,), history_objective="click")


@pytest.mark.statistics
def test_inverse_propensity_weighting_finds_the_truth(ratings: CompleteRatings) -> None:
    """Mean error over 40 worlds within 4 standard errors: fails on 1 of 15,000 seeds."""
    errors = []
    for seed in range(40):
        log, truth = replay_log(ratings, seed=seed, users=100)
        like = log.column("like")
        offsets = log.decisions.offsets
        uniform = np.repeat(1 / np.diff(offsets), np.diff(offsets))
        value = (uniform * truth[:, like]).sum() / len(log)
        estimate = (uniform[log.shown] / log.propensity * log.rewards[:, like]).mean()
        errors.append(estimate - value)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(40)
    assert np.std(errors) > 0
