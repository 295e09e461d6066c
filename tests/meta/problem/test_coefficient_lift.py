"""How features count beyond predictions, and the lift by that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.problem.coefficient_lift import CoefficientLift
from mrlm.meta.problem.coefficient_sums import centred_features, coefficient_sums
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from tests.meta.problem.test_paired_lift import numeric_gradient, relative_error

POINTS = [np.array([0.6, 0.5, 0.2, 0.1, 0.3]), np.array([1.0, 0.05, 0.0, 0.0, 0.0])]


def star_lift(problem):
    policy = TunedSoftmax(problem)
    return PairedLift(problem, policy, problem.rewards[:, 0], problem.q[:, 0], "delight")


def apart(make_problem, n=4000):
    """Two segments whose rewards follow the second and the third feature."""
    problem, _ = make_problem(n=n, users=n, missing=0.0, component=False)
    segment = np.arange(n) % 2
    g = np.random.default_rng(0)
    features = centred_features(problem)[problem.shown]
    wanted = np.where(segment == 0, features[:, 1], features[:, 2])
    reward = problem.q[problem.shown, 0] + 0.3 * wanted + 0.5 * segment + 0.2 * g.normal(size=n)
    return replace(problem, rewards=reward[:, None]), segment


def test_features_are_centred_where_the_champion_decides(make_problem):
    problem, _ = make_problem(n=50)
    mean = np.add.reduceat(
        problem.champion[:, None] * centred_features(problem), problem.offsets[:-1], axis=0
    )
    assert np.abs(mean).max() < 1e-12


def test_the_sums_are_those_of_the_regression(make_problem):
    """A segment's level is no part of it, nor is a segment that nobody is in."""
    problem, segment = apart(make_problem)
    sums = coefficient_sums(problem, star_lift(problem), segment, 3)
    assert sums.rounds.tolist() == [2000, 2000, 0]
    assert not sums.precision[2].any()
    features = centred_features(problem)[problem.shown]
    residual = problem.rewards[:, 0] - problem.q[problem.shown, 0]
    for s in range(2):
        own = segment == s
        design = np.column_stack([np.ones(own.sum()), features[own]])
        expected = np.linalg.lstsq(design, residual[own], rcond=None)[0][1:]
        assert np.linalg.solve(sums.precision[s], sums.pull[s]) == pytest.approx(expected)


def test_a_round_that_is_told_twice_says_no_more(make_problem):
    problem, segment = apart(make_problem, n=400)
    index = np.repeat(np.arange(400), 2)
    doubled = problem.rounds(index)
    once = coefficient_sums(problem, star_lift(problem), segment, 2)
    twice = coefficient_sums(doubled, star_lift(doubled), segment[index], 2)
    assert twice.precision == pytest.approx(once.precision)
    assert twice.pull == pytest.approx(once.pull)


def make_lift(problem, policy):
    g = np.random.default_rng(4)
    root = g.normal(size=(4, 4)) / 10
    return CoefficientLift(problem, policy, star_lift(problem), g.normal(size=4) / 5, root @ root.T)


@pytest.mark.parametrize("point", POINTS)
def test_the_lift_and_its_gradient(make_problem, point):
    problem, _ = make_problem(n=400)
    policy = TunedSoftmax(problem)
    lift = make_lift(problem, policy)
    gradient = lift.lower_bound(point, 2.0)[1]()
    numeric = numeric_gradient(lambda p: lift.lower_bound(p, 2.0)[0], point)
    assert relative_error(gradient, numeric) < 1e-6
    found = lift.lift(point, 2.0)
    assert found.lower == pytest.approx(lift.lower_bound(point, 2.0)[0], abs=1e-6)
    assert lift.lift(policy.champion_point, 0.0).standard_error == pytest.approx(0.0, abs=1e-9)


def test_the_error_is_that_of_the_coefficients(make_problem):
    """Linear in them: its variance is the form of what each coefficient alone would do."""
    problem, _ = make_problem(n=400)
    policy = TunedSoftmax(problem)
    lift = make_lift(problem, policy)
    less = policy.probabilities(POINTS[0]) - problem.champion
    moved = np.array([less @ c for c in centred_features(problem).T]) / 400
    expected = np.sqrt(moved @ lift._covariance @ moved)
    assert lift.lift(POINTS[0], 0.0).standard_error == pytest.approx(expected)
    free = CoefficientLift(problem, policy, star_lift(problem), np.zeros(4), np.zeros((4, 4)))
    assert free.lift(POINTS[0], 3.0).lower == pytest.approx(less @ problem.q[:, 0] / 400)
