from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.pareto import dominated, pareto
from mrlm.meta.scalarise import objective_weights
from mrlm.meta.settings import TuningSettings
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


def test_dominated():
    values = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.4, 0.5], [1.0, 0.0]])
    assert dominated(values).tolist() == [False, False, False, True, False]


def test_pareto_table(make_problem):
    problem, _ = make_problem(n=4000)
    table = pareto(problem, kappa=0.3, scale=2.0)
    assert len(table) == 21
    assert {p.objective for p in table} == {"diversity"}
    star = [p.lifts["delight"].value for p in table]
    other = [p.lifts["diversity"].value for p in table]
    assert np.diff(other).min() > 0
    assert star[0] > star[-1]
    assert not table[-1].dominated
    assert any(not p.dominated for p in table[:-1])
    assert all(np.isfinite(p.kl) for p in table)


def test_pareto_needs_a_head_of_the_north_star(make_problem):
    problem, _ = make_problem(n=200)
    with pytest.raises(ValueError, match="north star"):
        pareto(replace(problem, serves=(None,) * 4), 1.0, 1.0)
