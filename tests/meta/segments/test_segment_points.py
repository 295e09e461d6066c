"""What segments' decisions say, the lift by it, and the weights that follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.meta.segments.segment_lift import SegmentLift
from mrlm.meta.segments.segment_points import segment_point
from mrlm.meta.segments.segment_sums import centred_features, segment_sums
from mrlm.meta.settings import TuningSettings
from tests.meta.problem.test_paired_lift import numeric_gradient, relative_error

CHAMPION = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
POINTS = [np.array([0.6, 0.5, 0.2, 0.1, 0.3]), np.array([1.0, 0.05, 0.0, 0.0, 0.0])]


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
    sums = segment_sums(problem, 0, segment, 3)
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
    once = segment_sums(problem, 0, segment, 2)
    twice = segment_sums(problem.rounds(index), 0, segment[index], 2)
    assert twice.precision == pytest.approx(once.precision)
    assert twice.pull == pytest.approx(once.pull)


def make_lift(problem, policy):
    g = np.random.default_rng(4)
    root = g.normal(size=(4, 4)) / 10
    return SegmentLift(problem, policy, 0, g.normal(size=4) / 5, root @ root.T, 1e-3)


@pytest.mark.parametrize("point", POINTS)
def test_the_lift_and_its_gradient(make_problem, point):
    problem, _ = make_problem(n=400)
    policy = TunedSoftmax(problem)
    lift = make_lift(problem, policy)
    _, gradient = lift.lower_bound(point, 2.0)
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
    free = SegmentLift(problem, policy, 0, np.zeros(4), np.zeros((4, 4)), 1e-3)
    assert free.lift(POINTS[0], 3.0).lower == pytest.approx(less @ problem.q[:, 0] / 400)


def test_each_segment_gets_what_it_wants(make_problem):
    problem, segment = apart(make_problem)
    sums = segment_sums(problem, 0, segment, 2)
    settings = TuningSettings(least_entropy=0.3)
    theta = []
    for s in range(2):
        covariance = np.linalg.inv(sums.precision[s])
        mean = covariance @ sums.pull[s]
        own = np.flatnonzero(segment == s)
        theta.append(segment_point(problem, settings, own, (mean, covariance), CHAMPION)[1:])
    assert theta[0][1] > 3 * theta[0][2]
    assert theta[1][2] > 3 * theta[1][1]


def test_a_segment_that_says_nothing_keeps_the_point_of_all(make_problem):
    """Where no direction is worth one standard error."""
    problem, _ = apart(make_problem)
    wide = (np.zeros(4), 100 * np.eye(4))
    point = segment_point(problem, TuningSettings(), np.zeros(0, np.int64), wide, POINTS[0])
    assert point.tolist() == POINTS[0].tolist()
