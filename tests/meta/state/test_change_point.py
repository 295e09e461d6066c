from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.state.change_point import change_point

LEVEL = 0.999


def aged(problem, nights):
    """Rounds spread over nights at random."""
    age = np.random.default_rng(1).integers(0, nights, len(problem.propensity))
    return replace(problem, age=age)


def verdict(problem, level=LEVEL):
    return change_point(TuningTask.of(problem, TuningSettings()), level)


def changed(problem, nights):
    """The newest nights have another reward: it falls where it rose."""
    rewards = problem.rewards.copy()
    new = problem.age < nights
    rewards[new, 0] = 1 - rewards[new, 0]
    return replace(problem, rewards=rewards)


@pytest.mark.parametrize("nights", [1, 2])
def test_a_change_is_found_with_its_nights(make_problem, nights) -> None:
    problem = aged(make_problem(n=6000, users=3000, strength=3.0)[0], 5)
    assert not verdict(problem).found
    found = verdict(changed(problem, nights))
    assert found.found
    assert found.nights == nights
    assert found.statistic > found.needed


def test_nights_that_differ_anyway_are_no_alarm(make_problem) -> None:
    """The reward turns with every night: the newest differs from the rest as each of them does."""
    problem = aged(make_problem(n=6000, users=3000, strength=3.0)[0], 6)
    assert verdict(problem).spread < 2
    rewards = problem.rewards.copy()
    turned = problem.age % 2 == 0
    rewards[turned, 0] = 1 - rewards[turned, 0]
    found = verdict(replace(problem, rewards=rewards))
    assert found.spread > 5
    assert not found.found
    # By chance alone it would have been one.
    assert found.statistic > 4 * found.directions


def test_one_night_has_nothing_to_be_held_against(make_problem) -> None:
    problem, _ = make_problem(n=300)
    assert verdict(problem) is None


def test_a_night_without_known_rewards_is_passed_over(make_problem) -> None:
    problem = aged(make_problem(n=900)[0], 2)
    rewards = problem.rewards.copy()
    rewards[problem.age == 1] = np.nan
    assert verdict(replace(problem, rewards=rewards)) is None


def test_the_statistic_counts_users_and_not_rows(make_problem) -> None:
    """Every round twice says no more than once: T^2 stays but for G / (G - 1)."""
    problem = aged(make_problem(n=800, users=200)[0], 3)
    twice = problem.rounds(np.repeat(np.arange(800), 2))
    assert verdict(twice).statistic == pytest.approx(verdict(problem).statistic, rel=1e-9)


@pytest.mark.statistics
def test_a_quiet_night_rarely_raises_an_alarm(make_problem) -> None:
    """At level .9: 60 worlds, at most a tenth in the long run; more than 14 alarms has
    probability below 1 % at .1, where the two tests of a night were independent."""
    alarms = 0
    for seed in range(60):
        problem = aged(make_problem(seed=300 + seed, n=600, users=400)[0], 4)
        alarms += verdict(problem, level=0.9).found
    assert 0 < alarms <= 14
