"""A step that the gate would refuse for a group is not proposed, and the group is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.problem.judged_groups import JudgedGroups, search_z
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import counterfactuals, tune

SETTINGS = TuningSettings(least_effective_rows=50)
NAMES = (("history", "0 items"), ("history", "1 to 9 items"))
HARMED = ("delight", 1)


def judged(problem, *, reverse, z=0.5):
    """Half of the users are new; those of the other half may want the reverse of what all want."""
    code = (problem.cluster % 2)[:, None]
    rewards = problem.rewards.copy()
    if reverse:
        # What is shown for its second feature costs them; for the first it pleases them too.
        shown = problem.features[problem.shown, 1]
        rewards[:, 0] -= 0.8 * (code[:, 0] == 1) * shown
        rewards[:, 0] += 0.8 * (code[:, 0] == 0) * shown
    return replace(problem, rewards=rewards, judged=JudgedGroups(code, NAMES, z))


def harm(problem, point):
    task = TuningTask.of(problem, SETTINGS)
    return task.harmed(task.policy.probabilities(point))


def test_a_group_that_would_be_harmed_limits_the_step_and_is_told(make_problem):
    problem, _ = make_problem(n=3000, users=600, strength=2.0)
    planted = judged(problem, reverse=True)
    free = tune(replace(planted, judged=None), SETTINGS)
    assert harm(planted, free.point) == (HARMED,)
    held = tune(planted, SETTINGS)
    assert held.moved
    assert harm(planted, held.point) == ()
    assert "what users with 1 to 9 items before would lose of delight" in held.limited_by
    assert held.theta[1] < 0.5 * free.theta[1]


def test_where_none_is_harmed_nothing_changes(make_problem):
    problem, _ = make_problem(n=3000, users=600, strength=2.0)
    looked = judged(problem, reverse=False)
    assert tune(looked, SETTINGS) == tune(replace(looked, judged=None), SETTINGS)


def test_no_strategy_harms_a_group(make_problem):
    problem, _ = make_problem(n=1000, users=300, f=3, strength=2.0)
    planted = judged(problem, reverse=True)
    for name, found in counterfactuals(planted, SETTINGS).items():
        assert not found.moved or harm(planted, found.point) == (), name


def test_a_champion_that_stays_for_a_group_says_so(make_problem):
    """All groups are held to a gain that nobody can have."""
    problem, _ = make_problem(n=1000, users=300, f=3, strength=2.0)
    found = tune(judged(problem, reverse=False, z=-50.0), SETTINGS)
    assert not found.moved
    assert found.reason.endswith("what users with 1 to 9 items before would lose of delight")


def test_more_groups_are_harder_to_be_refused_for():
    assert search_z(0.2, 20) > search_z(0.2, 10) > search_z(0.4, 10)
    problem = np.zeros((3, 1), np.int64)
    with pytest.raises(IndexError):
        JudgedGroups(problem, NAMES, 0.0).rounds(np.array([3]))
