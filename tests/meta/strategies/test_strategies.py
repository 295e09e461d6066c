"""The contract of every strategy."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from mrlm.messages.translation import translated
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import StrategyName, TuningSettings
from mrlm.meta.strategies.registry import STRATEGIES
from mrlm.meta.strategies.simplex_grid import simplex_grid
from mrlm.meta.tune import counterfactuals, tune

ALL = pytest.mark.parametrize("name", STRATEGIES)
# Those that stay where the log says nothing; the others choose whatever it says.
CAREFUL = {"pessimistic_bound"}


def test_settings_name_every_strategy() -> None:
    assert set(get_args(StrategyName)) == set(STRATEGIES)
    assert {s.name for s in STRATEGIES.values()} == set(STRATEGIES)
    assert TuningSettings().strategy == "pessimistic_bound"


@ALL
def test_a_proposal_is_a_permitted_point_and_says_why(name, make_problem) -> None:
    settings = TuningSettings(least_effective_share=0.3, least_entropy=0.4)
    problem, _ = make_problem(n=1500, guardrail_margin=0.02)
    task = TuningTask.of(problem, settings)
    found = STRATEGIES[name].propose(task, None, 0)
    assert found.point.shape == (5,)
    assert 0 <= found.point[0] <= 1
    assert (found.point[1:] >= 0).all()
    assert found.point[1:].sum() <= 8 * settings.max_scale * (1 + 1e-9)
    assert task.permits(found.point)
    for told in (found.reason, *found.limited_by):
        assert translated(told, "zh") != told
    assert found.moved == (not np.array_equal(found.point, task.policy.champion_point))


@ALL
def test_the_same_arguments_give_the_same_point(name, make_problem) -> None:
    problem, _ = make_problem(n=800)
    settings = TuningSettings(strategy=name)
    assert tune(problem, settings, seed=3) == tune(problem, settings, seed=3)


@ALL
def test_the_order_of_rounds_does_not_matter(name, make_problem) -> None:
    problem, _ = make_problem(n=800)
    other = problem.rounds(np.random.default_rng(0).permutation(800))
    settings = TuningSettings(strategy=name)
    first, second = tune(problem, settings), tune(other, settings)
    assert first.moved == second.moved
    np.testing.assert_allclose(first.point, second.point, rtol=0.02, atol=0.02)


@ALL
def test_where_nothing_is_permitted_the_champion_stays(name, make_problem) -> None:
    """A guardrail that every step breaks: its margin is none and its prediction falls."""
    problem, _ = make_problem(n=800, guardrail_margin=0.0)
    rewards = problem.rewards.copy()
    rewards[:, 1] = problem.champion[problem.shown]
    q = problem.q.copy()
    q[:, 1] = problem.champion
    found = tune(
        replace(problem, rewards=rewards, q=q, log_anchor=np.log(problem.champion) * 9),
        TuningSettings(strategy=name, guardrail_z=200.0),
    )
    assert not found.moved
    assert found.kappa == 1.0
    assert found.scale == 0.0


@ALL
def test_a_loud_north_star_is_followed(name, make_problem) -> None:
    problem, _ = make_problem(n=6000, users=3000, strength=3.0, missing=0.0)
    found = tune(problem, TuningSettings(strategy=name))
    if name in {"fixed_weights", "regression_weights"}:
        # They weigh objectives alone, and what is not their own head's is left out.
        assert {c for c, s in found.shares.items() if s} <= {"head_0", "head_1"}
    else:
        assert found.moved
        assert found.lift.value > 0.05


def test_every_strategy_is_told_beside_the_one_that_chose(make_problem) -> None:
    problem, _ = make_problem(n=800)
    settings = TuningSettings(weights={"delight": 1.0})
    found = counterfactuals(problem, settings)
    assert set(found) == set(STRATEGIES)
    free = settings.model_copy(update={"weights": None})
    own = tune(problem, free)
    assert counterfactuals(problem, free, known=own)["pessimistic_bound"] is own
    for name, result in found.items():
        assert result == tune(problem, free.model_copy(update={"strategy": name}))
        assert result.printed.lower <= result.lift.value


def test_the_printed_bound_is_wider_than_that_of_one_policy(make_problem) -> None:
    problem, _ = make_problem(n=1500)
    found = tune(problem, TuningSettings(strategy="normal_bound"))
    assert found.moved
    assert found.printed.value == found.lift.value
    assert found.printed.lower < found.lift.lower


def test_the_grid_is_the_finest_with_at_most_four_hundred_points() -> None:
    for features in (1, 2, 5, 8, 12, 60):
        grid = simplex_grid(features)
        assert grid.shape[1] == features
        assert len(grid) <= max(400, features)
        np.testing.assert_allclose(grid.sum(axis=1), 1.0)
        assert (grid >= 0).all()
        assert len(np.unique(grid, axis=0)) == len(grid)
    assert len(simplex_grid(8)) == 330
    # The corners are there: one feature alone.
    assert (simplex_grid(60).max(axis=1) == 1).sum() == 60


def test_weights_fixed_by_hand_are_no_strategys_choice(make_problem) -> None:
    problem, _ = make_problem(n=1500)
    fixed = {"weights": {"diversity": 1.0}}
    found = tune(problem, TuningSettings(strategy="ips_grid", **fixed))
    assert found == tune(problem, TuningSettings(**fixed))


def test_more_of_the_likely_lift_is_taken_where_the_bound_allows(make_problem) -> None:
    for seed in range(3):
        problem, _ = make_problem(seed=seed, n=1500)
        certain = tune(problem, TuningSettings(kept_bound=1.0))
        bold = tune(problem, TuningSettings(kept_bound=0.5))
        assert bold.z == certain.z
        assert bold.lift.value >= certain.lift.value
        assert bold.lift.lower >= 0.5 * certain.lift.lower - 1e-3
