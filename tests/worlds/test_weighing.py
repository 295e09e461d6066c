"""The worlds in which weights are learned: what they say of themselves, exactly where possible."""

from __future__ import annotations

import numpy as np
import pytest

from mrlm.worlds.weighing import (
    best_weights,
    changing,
    constant,
    drawn_weighing,
    late_north_star,
    segmented,
    sharpest_weights,
    softmax_with_floor,
)

M, K = 4, 12


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    return drawn_weighing(changing(M, rng), 4.0, rng)


def test_objectives_have_mean_0_and_variance_1(world) -> None:
    _, means = world.contexts(20_000, np.random.default_rng(1))
    assert means.shape == (20_000 * K, M + 1)
    # Candidates of one decision share its state: the error is that of 20,000 decisions.
    np.testing.assert_allclose(means.mean(axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(means.var(axis=0), 1.0, atol=0.05)


def test_what_models_of_pairs_can_say_is_the_bilinear_part(world) -> None:
    pair, means = world.contexts(20_000, np.random.default_rng(2))
    found = np.linalg.lstsq(pair, means[:, :-1], rcond=None)[0]
    straight = world.straight(pair)
    np.testing.assert_allclose(pair @ found, np.sqrt(0.91) * straight, atol=0.15)


def test_the_path_drifts_and_then_breaks() -> None:
    path = changing(M, np.random.default_rng(3), weekly=0.0, size=2.0)
    weights = path.weights
    assert weights.shape == (40, M)
    assert (weights >= 0).all()
    steps = np.abs(np.diff(weights, axis=0)).max(axis=1)
    np.testing.assert_allclose(steps[:18], steps[0])
    assert steps[18:21].max() == 0
    assert steps[21] > 0
    assert steps[22:].max() == 0
    assert path.changes == (22,)
    for night in (0, 18, 22):
        assert np.linalg.norm(path.on(night)) == pytest.approx(2.0)
    np.testing.assert_array_equal(path.on(99), path.on(39))
    weekly = changing(M, np.random.default_rng(3)).weights
    np.testing.assert_allclose(weekly[25], weekly[32])


def test_a_log_is_drawn_with_the_probabilities_that_it_says(world) -> None:
    policy = np.random.default_rng(4).standard_normal(25)
    log = world.log(30_000, policy, 5, np.random.default_rng(5))
    table = log.probability.reshape(-1, K)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    assert table.min() >= world.floor / K
    # The mean of 1 / propensity is the number of candidates.
    inverse = 1 / log.probability[log.shown]
    assert abs(inverse.mean() - K) < 4 * inverse.std() / np.sqrt(len(inverse))
    again = world.log(30_000, policy, 5, np.random.default_rng(5))
    np.testing.assert_array_equal(log.north_star, again.north_star)


def test_the_observed_north_star_is_what_it_is_expected_to_be(world) -> None:
    rng = np.random.default_rng(6)
    log = world.log(20_000, None, 30, rng)
    pair, means = world.contexts(20_000, np.random.default_rng(6))
    np.testing.assert_array_equal(pair, log.pair)
    residual = log.north_star - world.north_star(means, 30)[log.shown]
    assert abs(residual.mean()) < 4 * 4.0 / np.sqrt(20_000)
    assert residual.std() == pytest.approx(4.0, rel=0.03)
    noise = (log.rewards - means[log.shown, :-1]).std(axis=0)
    np.testing.assert_allclose(noise, world.reward_noise, rtol=0.05)


def test_the_best_weights_are_better_than_any_that_are_drawn() -> None:
    rng = np.random.default_rng(7)
    world = drawn_weighing(constant(M, rng), 1.0, rng)
    pair, means = world.contexts(500, rng)
    heads, truth = world.straight(pair), world.north_star(means, 0)
    least = 0.5 * np.log(K)

    def value(theta):
        return float(softmax_with_floor(heads @ theta, K, world.floor) @ truth) / 500

    def entropy(theta):
        p = softmax_with_floor(heads @ theta, K, world.floor)
        return -float(p @ np.log(p)) / 500

    best = best_weights(world, heads, truth, world.path.on(0), least)
    assert (best >= 0).all()
    assert entropy(best) == pytest.approx(least, abs=1e-3)
    for direction in [np.ones(M), *rng.dirichlet(np.ones(M), 50)]:
        theta = sharpest_weights(world, heads, direction, least)
        assert entropy(theta) == pytest.approx(least, abs=1e-3)
        assert value(theta) <= value(best) + 1e-3
    # Where no entropy is asked for the sum of the weights is the end.
    assert sharpest_weights(world, heads, np.ones(M), 0.0).sum() == pytest.approx(64.0)


def test_a_late_north_star_follows_from_what_was_observed() -> None:
    """The share that the observed rewards tell is the one that was asked for, within .03."""
    rng = np.random.default_rng(7)
    late = late_north_star(M, rng, through=1.0, direct=0.5, told=0.6)
    log = late.log(20_000, None, rng)
    state = np.random.default_rng(8)
    pair, means = late.direct.contexts(10, state)
    assert late.expected(means).shape == (len(pair),)
    surprise = log.north_star - log.rewards @ late.through
    carried = np.linalg.norm(late.through * late.direct.reward_noise) ** 2
    assert carried / (carried + late.direct.noise**2) == pytest.approx(0.6)
    # What is left is the direct effect and its noise, which no reward explains.
    assert np.var(surprise) > late.direct.noise**2
    nothing = late_north_star(M, rng, through=0.0, direct=1.0, told=0.0)
    assert not nothing.through.any()
    assert nothing.direct.noise == 2.0


def test_segments_differ_as_much_as_was_asked_for() -> None:
    """Over 200 draws the variance of the weights, and its share that features tell, within .1."""
    apart, told = [], []
    for seed in range(200):
        world = segmented(M, 4.0, np.random.default_rng(seed), size=2.0, apart=0.4)
        assert world.weights.shape == (40, M)
        assert world.traffic[30:].sum() == 0
        assert world.traffic[0] == pytest.approx(2 * world.traffic[1])
        less = world.weights - world.common.path.on(0)
        apart.append((less**2).mean())
        design = np.column_stack([np.ones(40), world.features])
        left = less - design @ np.linalg.lstsq(design, less, rcond=None)[0]
        told.append(1 - (left**2).sum() / (40 - 4) / M / (0.4 * 2.0) ** 2)
    assert np.mean(apart) == pytest.approx((0.4 * 2.0) ** 2, rel=0.1)
    assert np.mean(told) == pytest.approx(0.75, abs=0.05)


def test_a_log_of_segments_holds_each_ones_decisions() -> None:
    rng = np.random.default_rng(9)
    world = segmented(M, 0.0, rng, size=2.0, apart=0.4, segments=5, unseen=1)
    log, segment = world.log(3000, None, rng)
    assert len(segment) == len(log.shown) == 3000
    assert set(segment) == {0, 1, 2, 3, 4}
    assert (np.bincount(segment, minlength=6)[:5] % 3 == 0).all()
    # A user is of one segment, and what is shown lies in its decision.
    assert all(len(set(segment[log.user == u])) == 1 for u in np.unique(log.user)[:200])
    assert (log.shown // K == np.arange(3000)).all()
    assert world.of(2).path.on(0) == pytest.approx(world.weights[2])
