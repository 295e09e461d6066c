from __future__ import annotations

import numpy as np
import pytest
from scipy.special import rel_entr

from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState, difference, estimates

POINTS = [np.array([0.6, 0.5, 0.2, 0.1, 0.3]), np.array([1.0, 0.05, 0.0, 0.0, 0.0])]


def numeric_gradient(function, point, step=1e-5):
    """Fourth-order central differences."""
    out = np.zeros(len(point))
    for j in range(len(point)):
        e = np.zeros(len(point))
        e[j] = step
        out[j] = (
            8 * (function(point + e) - function(point - e))
            - (function(point + 2 * e) - function(point - 2 * e))
        ) / (12 * step)
    return out


def relative_error(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("z", [0.0, 3.0])
@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("column", [0, 1])
def test_gradient_of_the_lower_bound(make_problem, point, z, floor, column):
    # A clip that no weight reaches: at the clip the bound has a kink.
    problem, _ = make_problem(n=400, floor=floor, clip=1e9)
    policy = TunedSoftmax(problem)
    lift = PairedLift(problem, policy, problem.rewards[:, column], problem.q[:, column], "x")
    gradient = lift.lower_bound(point, z)[1]()
    assert (
        relative_error(gradient, numeric_gradient(lambda p: lift.lower_bound(p, z)[0], point))
        < 1e-6
    )


def test_gradient_with_clipped_weights(make_problem):
    problem, _ = make_problem(n=400, clip=1.5)
    policy = TunedSoftmax(problem)
    lift = PairedLift(problem, policy, problem.rewards[:, 0], problem.q[:, 0], "x")
    point = POINTS[0]
    weight = policy.probabilities(point)[problem.shown] / problem.propensity
    assert (weight > 1.5).any()
    gradient = lift.lower_bound(point, 2.0)[1]()
    numeric = numeric_gradient(lambda p: lift.lower_bound(p, 2.0)[0], point, step=1e-7)
    assert relative_error(gradient, numeric) < 1e-5


@pytest.mark.parametrize("point", POINTS)
def test_divergence_and_its_gradient(make_problem, point):
    problem, _ = make_problem(n=300)
    policy = TunedSoftmax(problem)
    value, slope = policy.divergence(point)
    pi = policy.probabilities(point)
    assert value == pytest.approx(rel_entr(pi, problem.champion).sum() / 300, rel=1e-12)
    assert (
        relative_error(slope(), numeric_gradient(lambda p: policy.divergence(p)[0], point)) < 1e-6
    )


def test_champion_point_is_the_champion(make_problem):
    problem, _ = make_problem()
    policy = TunedSoftmax(problem)
    champion = policy.champion_point
    assert policy.probabilities(champion) == pytest.approx(problem.champion, abs=1e-14)
    assert policy.divergence(champion)[0] == pytest.approx(0.0, abs=1e-12)
    lift = PairedLift(problem, policy, problem.rewards[:, 0], problem.q[:, 0], "x")
    found = lift.lift(champion, 3.0)
    assert (found.value, found.standard_error) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_probabilities_sum_to_one_and_keep_the_floor(make_problem):
    problem, _ = make_problem()
    pi = TunedSoftmax(problem).probabilities(np.array([0.2, 8.0, 0, 0, 0]))
    starts = problem.offsets[:-1]
    assert np.add.reduceat(pi, starts) == pytest.approx(1.0)
    lengths = np.diff(problem.offsets)
    assert (pi >= np.repeat(0.1 / lengths, lengths) - 1e-15).all()


def test_raising_a_weight_never_lowers_its_own_feature(make_problem):
    """The derivative of E_pi[feature] in its theta is a variance under the softmax."""
    problem, _ = make_problem()
    policy = TunedSoftmax(problem)
    for point in POINTS:
        policy.probabilities(point)
        for j in range(4):
            gradient = policy.pull_back(point, problem.features[:, j])
            assert gradient[1 + j] > 0


def test_logits_may_be_shifted(make_problem):
    """A constant added to every candidate's logit is no update at all."""
    problem, _ = make_problem()
    policy = TunedSoftmax(problem)
    constant = policy.by_candidate(np.ones(len(problem.shown)))
    assert np.abs(policy.pull_back(POINTS[0], constant)).max() < 1e-9


def test_lift_is_that_of_mrlm_ope(make_problem):
    """Where no weight is clipped it is the paired doubly robust difference, to the last digit."""
    problem, _ = make_problem(clip=1e9)
    policy = TunedSoftmax(problem)
    lift = PairedLift(problem, policy, problem.rewards[:, 0], problem.q[:, 0], "x")
    found = lift.lift(POINTS[0], 2.0)
    batch = EvaluationBatch(
        cluster=problem.cluster,
        offsets=problem.offsets,
        target=policy.probabilities(POINTS[0]),
        shown=problem.shown,
        propensity=problem.propensity,
        rewards=problem.rewards,
        objectives=problem.names,
        q=problem.q,
    )
    dr = ESTIMATORS["dr"]
    paired = difference(dr(batch), dr(batch.with_target(problem.champion, "champion")))
    e = estimates(EvaluationState.of(paired))["delight"]
    assert found.value == pytest.approx(e.value, abs=1e-12)
    assert found.standard_error == pytest.approx(e.standard_error, rel=1e-10)


def test_significance_sees_signal_and_only_signal(make_problem):
    basis = np.eye(5)
    for strength, significant in ((1.5, True), (0.0, False)):
        problem, _ = make_problem(n=3000, strength=strength)
        policy = TunedSoftmax(problem)
        lift = PairedLift(problem, policy, problem.rewards[:, 0], problem.q[:, 0], "x")
        t_squared, rank, direction = lift.significance(policy.champion_point, basis)
        assert rank == 5
        assert (t_squared > 15) == significant
        if significant:
            up = policy.champion_point + 0.05 * direction / np.abs(direction).max()
            assert lift.lift(up, 0.0).value > 0


def test_significance_matches_per_row_gradients(make_problem):
    """T^2 from finite differences of the round scores by user."""
    problem, _ = make_problem(n=250, users=60, missing=0.0, clip=1e9)
    policy = TunedSoftmax(problem)
    lift = PairedLift(problem, policy, problem.rewards[:, 0], problem.q[:, 0], "x")
    point, step = policy.champion_point, 1e-5
    jacobian = np.column_stack(
        [
            (
                lift._scores(policy.probabilities(point + step * e))
                - lift._scores(policy.probabilities(point - step * e))
            )
            / (2 * step)
            for e in np.eye(5)
        ]
    )
    mean = jacobian.mean(0)
    users = np.unique(problem.cluster)
    sums = np.array([(jacobian - mean)[problem.cluster == u].sum(0) for u in users]) / 250
    g = len(users)
    t_squared = mean @ np.linalg.solve(g / (g - 1) * sums.T @ sums, mean)
    assert lift.significance(point, np.eye(5))[0] == pytest.approx(t_squared, rel=1e-4)


def test_two_users_are_needed(make_problem):
    problem, _ = make_problem(n=20, users=1)
    with pytest.raises(ValueError, match="at least two users"):
        PairedLift(problem, TunedSoftmax(problem), problem.rewards[:, 0], problem.q[:, 0], "x")


def test_the_lift_of_each_group_is_that_of_its_rounds_alone(make_problem):
    """Two kinds at once; a group of one user has no error."""
    problem, _ = make_problem(n=500, users=60)
    policy = TunedSoftmax(problem)
    reward, q = problem.rewards[:, 0], problem.q[:, 0]
    rows = np.arange(500)
    lonely = np.where(problem.cluster == problem.cluster[0], 2, rows % 2)
    code = np.column_stack([lonely, 3 + rows // 200])
    probabilities = policy.probabilities(POINTS[0])
    whole = PairedLift(problem, policy, reward, q, "x")
    value, error = whole.of_groups(probabilities, code, 6)
    assert np.isnan([value[2], error[2]]).all()
    for g in (0, 1, 3, 4, 5):
        own = np.where((code == g).any(axis=1), reward, np.nan)
        alone = PairedLift(problem, policy, own, q, "x").of_probabilities(probabilities, 0.0)
        assert value[g] == pytest.approx(alone.value, rel=1e-12)
        assert error[g] == pytest.approx(alone.standard_error, rel=1e-12)
