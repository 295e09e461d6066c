from __future__ import annotations

import numpy as np
import pytest

import mrlm.meta.strategies.pessimistic_bound as module
from mrlm.meta.search.tuning_task import TuningTask
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
    settings = TuningSettings(kept_bound=1.0)
    whole = tune(problem, settings)
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
    assert tune(problem, settings).point == pytest.approx(whole.point)
    assert asked[0] < 700
    assert asked[1] == 1500


def test_what_is_likely_is_told_by_some_rounds_as_by_all(make_problem, monkeypatch) -> None:
    """By every sixth of them the lift is that of all within half of the champion's own error."""
    problem, _ = make_problem(n=3000)
    task = TuningTask.of(problem, TuningSettings())
    whole = module._by_coefficients(task)
    monkeypatch.setattr(module, "_ENOUGH", 500)
    some = module._by_coefficients(task)
    assert len(some.used) == 500
    for point in (np.array([0.5, 2.0, 0.5, 0.0, 0.0]), np.array([0.0, 4.0, 0.0, 0.0, 1.0])):
        less = some.lift(point, 1.0).lower - whole.lift(point, 1.0).lower
        assert abs(less) < 0.5 * task.target.resolution


def test_of_proven_points_the_likely_one_is_taken(make_problem) -> None:
    """It keeps its share of the bound, and by coefficients beats the most certain one."""
    gains = []
    for seed in range(4):
        problem, _ = make_problem(seed=seed, n=3000, users=1500, strength=0.5)
        certain, bold = (tune(problem, TuningSettings(kept_bound=share)) for share in (1.0, 0.5))
        likely = module._by_coefficients(TuningTask.of(problem, TuningSettings()))
        assert bold.lift.lower >= 0.49 * certain.lift.lower
        gains.append(likely.lift(bold.point, 1.0).lower - likely.lift(certain.point, 1.0).lower)
    assert min(gains) >= 0
    assert max(gains) > 0
