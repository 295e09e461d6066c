from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.explain.pareto import dominated, pareto


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
