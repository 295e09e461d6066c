from __future__ import annotations

import pytest

from mrlm.meta.settings import TuningSettings
from mrlm.meta.training_weights.scalarise import objective_weights
from mrlm.meta.tune import tune


def test_first_night_is_even():
    assert objective_weights(["x", "y"]) == {"x": 0.5, "y": 0.5}
    assert objective_weights(["x", "y"], previous={"x": 3.0, "y": 1.0}) == {"x": 0.75, "y": 0.25}


def test_theta_becomes_objective_weights(make_problem):
    problem, _ = make_problem(n=3000)
    result = tune(problem, TuningSettings())
    serves = dict(zip(problem.columns, problem.serves, strict=True))
    found = objective_weights(problem.names, result, serves)
    heads = result.theta[0] + result.theta[1]
    assert found == pytest.approx(
        {"delight": result.theta[0] / heads, "diversity": result.theta[1] / heads}
    )
    learned = objective_weights(
        problem.names,
        result,
        {},
        learned=problem.columns,
        previous={"delight": 0.2, "diversity": 0.8},
    )
    assert learned == pytest.approx({"delight": 0.2, "diversity": 0.8})


def test_no_evidence_keeps_last_nights_weights(make_problem):
    problem, _ = make_problem(n=500, strength=0.0)
    result = tune(problem, TuningSettings())
    before = {"delight": 0.3, "diversity": 0.7}
    assert objective_weights(problem.names, result, {}, previous=before) == pytest.approx(before)
