from __future__ import annotations

import pytest

import mrlm.meta.strategies.pessimistic_bound as module
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune


def test_many_rounds_are_searched_by_some_first(make_problem, monkeypatch) -> None:
    """What is found is nearly as good as by a search of all, and not better than proven."""
    for seed in range(3):
        problem, _ = make_problem(seed=seed, n=3000, users=1500)
        settings = TuningSettings(kept_bound=1.0)
        whole = tune(problem, settings)
        monkeypatch.setattr(module, "_ENOUGH", 1000)
        found = tune(problem, settings)
        monkeypatch.setattr(module, "_ENOUGH", 5000)
        assert found.z == whole.z
        assert 0.94 * whole.lift.lower < found.lift.lower <= 1.001 * whole.lift.lower


def test_where_some_find_nothing_all_are_searched(make_problem, monkeypatch) -> None:
    problem, _ = make_problem(n=1500)
    whole = tune(problem, TuningSettings())
    asked = []

    def nothing(task, *arguments, **options):
        asked.append(len(task.problem.propensity))
        if len(asked) == 1:
            champion = task.policy.champion_point
            return module.BoundedStep(champion, 0.0, arguments[0], (), 0, ())
        return searched(task, *arguments, **options)

    searched = module._searched
    monkeypatch.setattr(module, "_ENOUGH", 500)
    monkeypatch.setattr(module, "_searched", nothing)
    assert tune(problem, TuningSettings()).point == pytest.approx(whole.point)
    assert asked[0] < 700
    assert asked[1] == 1500
