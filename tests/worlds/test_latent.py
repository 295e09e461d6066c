from __future__ import annotations

import numpy as np
import pytest

from mrlm.worlds.latent import drawn_latent, latent_log, latent_ratings
from mrlm.worlds.memory import replay_log


def test_shapes_and_order() -> None:
    log, truth = latent_log(50, 8, 10, seed=1)
    assert len(log) == 400
    assert truth.shape == (4_000, 2)
    assert (np.diff(log.decisions.ts) >= np.timedelta64(0)).all()
    assert (log.decisions.ts.astype("datetime64[D]") == log.night).all()
    assert len(set(log.decision_id)) == 400
    assert (truth[:, 0] > 0).all()
    assert (truth[:, 0] < 1).all()
    codes = log.decisions.candidates.values.reshape(400, 10)
    assert (np.diff(codes, axis=1) > 0).all()
    np.testing.assert_allclose(log.candidate_propensity.reshape(400, 10).sum(axis=1), 1.0)
    np.testing.assert_array_equal(log.propensity, log.candidate_propensity[log.shown])
    np.testing.assert_array_equal(log.rewards[:, 0], log.rewards[:, 1] >= 3.5)
    assert log.decisions.catalog.embedding is not None


def test_history_is_the_users_earlier_decisions() -> None:
    log, _ = latent_log(7, 6, 5, seed=2)
    shown = log.decisions.candidates.values[log.shown]
    for d in range(len(log)):
        mine = np.flatnonzero(log.decisions.user[:d] == log.decisions.user[d])
        np.testing.assert_array_equal(log.decisions.history[d], shown[mine])


@pytest.mark.statistics
def test_rewards_have_the_truth_as_their_mean() -> None:
    """Both within 4.5 standard errors: fails on about 1 of 70,000 seeds."""
    log, truth = latent_log(2_000, 10, 10, seed=3)
    gap = log.rewards - truth[log.shown]
    assert (np.abs(gap.mean(axis=0)) < 4.5 * gap.std(axis=0) / np.sqrt(len(log))).all()


@pytest.mark.statistics
def test_users_are_persistently_different() -> None:
    """Variance between users is far above chance, which would give a ratio near 1."""
    log, _ = latent_log(400, 30, 10, seed=4)
    rating = log.rewards[:, 1].reshape(30, 400)
    between = rating.mean(axis=0).var() * 30 / rating.var(axis=0).mean()
    assert between > 2


def test_the_drawn_world_is_replayed_like_the_real_one() -> None:
    ratings = latent_ratings(drawn_latent(), users=80, ratings_per_user=40, seed=5)
    assert set(np.unique(ratings.rating * 2)) <= set(range(1, 11))
    log, truth = replay_log(ratings, seed=5, users=None)
    np.testing.assert_array_equal(truth[log.shown], log.rewards)
    assert len(log) == 80 * 24


def test_more_ratings_than_films_are_refused() -> None:
    with pytest.raises(ValueError, match="has 400 films"):
        latent_ratings(drawn_latent(), users=1, ratings_per_user=401, seed=0)
    with pytest.raises(ValueError, match="give 1 to 100"):
        latent_log(2, 2, 101, seed=0)
