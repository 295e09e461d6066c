"""The weights that follow for each segment from what its decisions say."""

from __future__ import annotations

import numpy as np

from mrlm.meta.problem.coefficient_sums import coefficient_sums
from mrlm.meta.segments.segment_points import segment_point
from mrlm.meta.settings import TuningSettings
from tests.meta.problem.test_coefficient_lift import POINTS, apart, star_lift

CHAMPION = np.array([1.0, 0.0, 0.0, 0.0, 0.0])


def test_each_segment_gets_what_it_wants(make_problem):
    problem, segment = apart(make_problem)
    sums = coefficient_sums(problem, star_lift(problem), segment, 2)
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
