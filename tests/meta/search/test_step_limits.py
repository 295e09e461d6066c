"""Every limit's slack has the sign of what it limits, and the gradient that it states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import Ragged
from mrlm.meta.problem.judged_groups import JudgedGroups
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.meta.search.diversity_floor import DiversityFloor
from mrlm.meta.search.group_floors import group_floors
from mrlm.meta.search.step_limits import (
    DivergenceCap,
    EffectiveSampleSize,
    EntropyFloor,
    ExposureFloor,
    guardrail_floor,
    kept_bound,
)


def counted(problem):
    """The problem with what shows are counted by: four groups, of candidates in turn."""
    rows = np.arange(len(problem.log_anchor) + 1)
    # Every fifth candidate is in no group.
    known = rows[:-1] % 5 > 0
    groups = Ragged(np.concatenate([[0], np.cumsum(known)]), rows[:-1][known] % 5 - 1)
    return replace(problem, groups={"providers": groups})


def judged(problem, *held):
    """The problem with two scenes in turn, of which the second is held to no harm."""
    code = np.arange(len(problem.propensity))[:, None] % 2
    groups = JudgedGroups(code, (("scene", "home"), ("scene", "search")), 0.5, held)
    return replace(problem, judged=groups)


def limits(problem):
    policy = TunedSoftmax(problem)
    used = np.isfinite(problem.rewards[:, 0])
    lift = PairedLift(problem, policy, problem.rewards[:, 1], problem.q[:, 1], "diversity")
    return [
        DivergenceCap(policy, 0.3),
        EffectiveSampleSize(problem, policy, used, 400.0),
        guardrail_floor(lift, 0.02, 1.28),
        EntropyFloor(policy, 0.5),
        kept_bound(lift, -0.01, 2.0),
        ExposureFloor(problem, policy, "diversity", 0.4),
        DiversityFloor(counted(problem), policy, "providers", 3.0),
        group_floors(judged(problem, ("diversity", 1)), policy)[0],
    ]


@pytest.mark.parametrize(
    "which",
    range(8),
    ids=["kl", "effective", "guardrail", "entropy", "bound", "exposure", "diversity", "group"],
)
def test_the_gradient_is_that_of_the_slack(make_problem, which):
    problem, _ = make_problem(n=600)
    limit = limits(problem)[which]
    point = np.array([0.7, 0.9, 0.3, 0.2, 0.1])
    gradient = limit.slack(point)[1]()
    for j in range(len(point)):
        step = np.zeros(len(point))
        step[j] = 1e-6
        rise = (limit.slack(point + step)[0] - limit.slack(point - step)[0]) / 2e-6
        assert gradient[j] == pytest.approx(rise, rel=1e-4, abs=1e-6)


def test_the_effective_sample_size_is_kish_s_of_known_rewards(make_problem):
    problem, _ = make_problem(n=600)
    used = np.isfinite(problem.rewards[:, 0])
    policy = TunedSoftmax(problem)
    sample = EffectiveSampleSize(problem, policy, used, 100.0)
    point = np.array([0.2, 3.0, 0.0, 1.0, 0.0])
    weight = (policy.probabilities(point)[problem.shown] / problem.propensity)[used]
    assert sample.of(point) == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert sample.slack(point)[0] == pytest.approx(np.log(sample.of(point) / 100.0))
    assert used.sum() < len(used)


def test_rounds_of_older_nights_count_less_in_the_effective_sample_size(make_problem):
    problem, _ = make_problem(n=600, missing=0.0)
    aged = replace(problem, age=np.arange(600) % 3).decayed(1.0)
    policy = TunedSoftmax(aged)
    sample = EffectiveSampleSize(aged, policy, np.ones(600, np.bool_), 100.0)
    point = np.array([0.2, 3.0, 0.0, 1.0, 0.0])
    weight = aged.weight * policy.probabilities(point)[aged.shown] / aged.propensity
    assert sample.of(point) == pytest.approx(weight.sum() ** 2 / (weight**2).sum())


def test_the_entropy_is_that_of_every_decision(make_problem):
    problem, _ = make_problem(n=600)
    policy = TunedSoftmax(problem)
    point = np.array([0.2, 3.0, 0.0, 1.0, 0.0])
    p = policy.probabilities(point)
    by_hand = [-(q @ np.log(q)) for q in np.split(p, problem.offsets[1:-1])]
    floor = EntropyFloor(policy, 0.5)
    assert policy.entropy(point)[0] == pytest.approx(np.mean(by_hand))
    uniform = np.log(np.diff(problem.offsets)).mean()
    assert floor.slack(point)[0] == pytest.approx(np.mean(by_hand) / uniform - 0.5)
    # A champion that is sharper than what is asked for stays permitted.
    sharp = EntropyFloor(policy, 0.999)
    assert sharp.least == policy.entropy(policy.champion_point)[0]


def test_all_hold_at_the_champion(make_problem):
    problem, _ = make_problem(n=600)
    champion = TunedSoftmax(problem).champion_point
    used = np.isfinite(problem.rewards[:, 0])
    greedy = EffectiveSampleSize(problem, TunedSoftmax(problem), used, 1e9)
    assert all(limit.slack(champion)[0] >= 0 for limit in [*limits(problem), greedy])


def test_the_exposure_is_the_mean_of_what_is_known(make_problem):
    problem, _ = make_problem(n=600)
    aged = replace(problem, age=np.arange(600) % 3).decayed(1.0)
    policy = TunedSoftmax(aged)
    floor = ExposureFloor(aged, policy, "diversity", 0.7)
    point = np.array([0.2, 3.0, 0.0, 1.0, 0.0])
    by_decision = policy.by_decision(policy.probabilities(point) * aged.q[:, 1])
    assert floor.of(point) == pytest.approx(np.average(by_decision, weights=aged.weight))
    assert floor.slack(point)[0] == pytest.approx(floor.of(point) - 0.7)


def test_the_effective_number_is_of_all_decisions_together(make_problem):
    problem, _ = make_problem(n=600)
    aged = counted(replace(problem, age=np.arange(600) % 3).decayed(1.0))
    policy = TunedSoftmax(aged)
    floor = DiversityFloor(aged, policy, "providers", 3.5)
    point = np.array([0.2, 3.0, 0.0, 1.0, 0.0])
    shows = np.repeat(aged.weight, policy.lengths) * policy.probabilities(point)
    place = np.arange(len(shows)) % 5
    share = np.array([shows[place == g].sum() for g in (1, 2, 3, 4)]) / shows[place > 0].sum()
    number = np.exp(-(share @ np.log(share)))
    assert 1 < number < 4
    assert floor.of_probabilities(policy.probabilities(point)) == pytest.approx(number)
    assert floor.slack(point)[0] == pytest.approx(np.log(number / 3.5))
    some = aged.rounds(np.arange(0, 600, 7))
    assert len(some.groups["providers"]) == len(some.log_anchor)


def test_an_exposure_that_is_not_known_is_refused(make_problem):
    problem, _ = make_problem(n=600)
    with pytest.raises(ValueError, match=r"names 'delight'.*those are: diversity"):
        ExposureFloor(problem, TunedSoftmax(problem), "delight", 0.5)
