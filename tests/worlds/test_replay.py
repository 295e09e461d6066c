from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from mrlm.bandit_log.ragged import segment_sum
from mrlm.worlds.logger import SoftmaxLogger
from mrlm.worlds.ratings import CompleteRatings
from mrlm.worlds.replayed import ReplayedWorld, ReplaySettings, replay


def test_each_rating_is_shown_at_most_once(world: ReplayedWorld) -> None:
    assert len(np.unique(world.shown)) == len(world)
    # All but the nine that a slot of ten candidates leaves.
    assert len(world) == 100_004 - 9 * 671


def test_a_candidate_set_is_the_next_films_not_shown(world: ReplayedWorld) -> None:
    for user in (0, 14, 100):
        start, end = world.ratings.offsets[user : user + 2]
        waiting = list(range(start, end))
        own = np.flatnonzero(world.user == user)
        pool: list[int] = []
        for d in own:
            if world.position[d] == 1:
                missing = 20 - len(pool)
                pool, waiting = pool + waiting[:missing], waiting[missing:]
            assert sorted(world.candidates[d]) == sorted(pool)
            pool.remove(world.shown[d])


def test_candidate_order_tells_nothing(world: ReplayedWorld) -> None:
    codes = world.item_codes()
    rises = np.diff(codes.values) > 0
    inner = np.ones(len(codes.values) - 1, bool)
    inner[codes.offsets[1:-1] - 1] = False
    assert rises[inner].all()


def test_propensities_are_the_formula(world: ReplayedWorld) -> None:
    np.testing.assert_allclose(segment_sum(world.propensity, world.candidates.offsets), 1.0)
    popularity = world.ratings.catalog.attributes["popularity"]
    for d in (0, 1, 777, 93_000):
        logit = 0.5 * np.log(popularity[world.item_codes()[d]])
        softmax = np.exp(logit) / np.exp(logit).sum()
        expected = 0.8 * softmax + 0.2 / len(softmax)
        own = slice(world.candidates.offsets[d], world.candidates.offsets[d + 1])
        np.testing.assert_allclose(world.propensity[own], expected, rtol=1e-12)


@pytest.mark.statistics
def test_draws_follow_the_propensities(world: ReplayedWorld) -> None:
    """The randomised probability integral transform is uniform; fails on 1 of 10,000 seeds."""
    offsets = world.candidates.offsets
    total = np.concatenate([[0.0], np.cumsum(world.propensity)])
    before = total[offsets[:-1] + world.action] - total[offsets[:-1]]
    u = before + world.shown_propensity * np.random.default_rng(5).random(len(world))
    observed = np.bincount(np.clip((u * 25).astype(int), 0, 24), minlength=25)
    expected = len(world) / 25
    assert ((observed - expected) ** 2 / expected).sum() < chi2.isf(1e-4, 24)


@pytest.mark.statistics
def test_inverse_propensity_has_the_candidate_count_as_mean(world: ReplayedWorld) -> None:
    """Each night within 5 standard errors: fails on about 1 of 100,000 seeds."""
    for night in range(12):
        here = world.night == night
        gap = 1 / world.shown_propensity[here] - world.candidates.lengths[here]
        assert abs(gap.mean()) < 5 * gap.std() / np.sqrt(here.sum())


def test_nights_are_even_and_nearly_everyone_comes(world: ReplayedWorld) -> None:
    slots = np.bincount(world.night, minlength=12)
    assert slots.min() > 7_700
    assert slots.max() < 7_950
    for night in range(12):
        assert len(np.unique(world.user[world.night == night])) > 0.88 * 671


def test_times_rise_and_make_sessions(world: ReplayedWorld) -> None:
    first = world.position == 1
    user, ts, night = world.user[first], world.ts[first], world.night[first]
    same = (user[1:] == user[:-1]) & (night[1:] == night[:-1])
    gap = np.diff(ts)[same].astype("timedelta64[s]").astype(int)
    assert gap.min() >= 60, "the list can be rated before the next request"
    assert (gap < 30 * 60).mean() > 0.3
    assert (gap > 40 * 60).mean() > 0.1
    date = world.ts.astype("datetime64[D]")
    np.testing.assert_array_equal(date, np.datetime64("2026-11-09") + world.night)
    assert (np.diff(world.request) >= 0).all()
    assert len(np.unique(np.stack([world.request, world.ts.astype(int)]), axis=1).T) == first.sum()


def test_same_seed_same_world(ratings: CompleteRatings, world: ReplayedWorld) -> None:
    again = replay(ratings, seed=20261109)
    np.testing.assert_array_equal(again.shown, world.shown)
    np.testing.assert_array_equal(again.ts, world.ts)
    other = replay(ratings, seed=1)
    assert (other.shown != world.shown).any()


def test_settings_that_leave_no_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="min_candidates 18"):
        ReplaySettings(min_candidates=18)


def test_too_many_requests_for_a_night_are_refused(ratings: CompleteRatings) -> None:
    with pytest.raises(ValueError, match="more nights"):
        replay(ratings, seed=0, settings=ReplaySettings(nights=1))


def test_a_logger_needs_a_positive_attribute(ratings: CompleteRatings) -> None:
    with pytest.raises(ValueError, match="positive 'year'"):
        SoftmaxLogger(attribute="year").weights(ratings.catalog)
