from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.policy import TunedSoftmax
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune

DEFAULT = TuningSettings()


def true_lift(problem, truth, point):
    pi = TunedSoftmax(problem).probabilities(point)
    return np.add.reduceat((pi - problem.champion) * truth, problem.offsets[:-1]).mean()


def test_finds_a_better_policy_and_says_no_more_than_is_true(make_problem):
    for seed in range(6):
        problem, truth = make_problem(seed=seed, n=4000, users=800)
        found = tune(problem, DEFAULT)
        real = true_lift(problem, truth, found.point)
        assert found.moved
        assert real > 0.03
        assert 0 < found.lift.lower < real
        assert found.kl <= DEFAULT.max_kl * 1.001
        assert found.theta[0] > found.theta[3]
        assert found.target == "delight"


def test_near_the_best_point_of_a_grid(make_problem):
    problem, _ = make_problem(n=3000, f=2, users=600)
    found = tune(problem, DEFAULT)
    policy = TunedSoftmax(problem)
    from mrlm.meta.objective import PairedLift

    lift = PairedLift(problem, policy, problem.rewards[:, 0], problem.q[:, 0], "x")
    best = -np.inf
    for kappa in np.linspace(0, 1, 6):
        for a in np.linspace(0, 8, 17):
            for b in np.linspace(0, 8 - a, 9):
                point = np.array([kappa, a, b])
                if policy.divergence(point)[0] <= DEFAULT.max_kl:
                    best = max(best, lift.lift(point, found.z).lower)
    assert found.lift.lower >= best - 0.02 * abs(best)


def test_no_evidence_keeps_the_champion(make_problem):
    problem, _ = make_problem(n=1000, strength=0.0)
    found = tune(problem, DEFAULT)
    assert not found.moved
    assert found.reason.startswith("no evidence")
    assert found.kappa == 1.0
    assert found.theta == (0.0,) * 4
    assert found.scale == 0.0
    assert set(found.shares.values()) == {0.0}


@pytest.mark.statistics
def test_null_worlds_rarely_move(make_problem):
    """Nothing to gain: at confidence .9 a move in at most a tenth of worlds.

    60 worlds; a true rate of .1 fails (more than 13 moves) with probability below 1 %.
    """
    moved = sum(
        tune(make_problem(seed=s, n=800, users=400, strength=0.0)[0], DEFAULT).moved
        for s in range(100, 160)
    )
    assert moved <= 13


def test_guardrail_binds(make_problem):
    problem, _ = make_problem(n=4000, strength=2.0, guardrail_margin=0.01)
    # The guarded quantity is what the tuned policy would otherwise give up.
    known = 1 / (1 + np.exp(3 * problem.features[:, 0]))
    q = problem.q.copy()
    q[:, 1] = known
    rewards = problem.rewards.copy()
    rewards[:, 1] = known[problem.shown]
    problem = replace(problem, q=q, rewards=rewards)
    found = tune(problem, DEFAULT)
    guard = found.guardrails["diversity"]
    assert guard.holds
    assert guard.lift.lower >= -0.01 - 1e-4
    free = tune(
        replace(
            problem,
            objectives=(problem.objectives[0], replace(problem.objectives[1], role="component")),
        ),
        DEFAULT,
    )
    lost = true_lift(problem, known, free.point)
    assert lost < -0.03
    assert free.lift.lower > found.lift.lower > 0
    assert true_lift(problem, known, found.point) >= -0.011


def test_caps(make_problem):
    problem, _ = make_problem(n=4000, strength=3.0)
    for settings in (TuningSettings(max_kl=0.05), TuningSettings(max_scale=0.3)):
        found = tune(problem, settings)
        assert found.moved
        assert found.kl <= settings.max_kl * 1.001
        assert found.scale <= settings.max_scale * (1 + 1e-9)
        assert 0 <= found.kappa <= 1
        assert min(found.theta) >= 0


def test_bounds_by_feature(make_problem):
    problem, _ = make_problem(n=4000, strength=3.0)
    cap = 8.0
    signed = replace(
        problem, lowest=np.array([0, 0, -cap, -cap]), highest=np.array([0.0, cap, cap, 0])
    )
    found = tune(signed, DEFAULT)
    assert found.theta[0] == 0.0
    assert found.theta[3] < 0
    assert sum(abs(w) for w in found.shares.values()) == pytest.approx(1.0)


def test_weights_fixed_by_hand(make_problem):
    problem, _ = make_problem(n=4000)
    found = tune(problem, TuningSettings(weights={"delight": 3.0, "diversity": 1.0}))
    assert found.moved
    assert found.shares == pytest.approx({"head_0": 0.75, "head_1": 0.25, "head_2": 0, "head_3": 0})
    assert found.kl <= DEFAULT.max_kl * 1.001
    assert found.target == "weights"
    only = tune(problem, TuningSettings(weights={"diversity": 1.0}))
    assert only.shares["head_1"] == 1.0
    with pytest.raises(ValueError, match="fixed weight 'clicks'"):
        tune(problem, TuningSettings(weights={"clicks": 1.0}))
    with pytest.raises(ValueError, match="not all be 0"):
        tune(problem, TuningSettings(weights={"delight": 0.0}))


def test_same_input_same_output(make_problem):
    problem, _ = make_problem(n=2000)
    first, second = tune(problem, DEFAULT), tune(problem, DEFAULT)
    assert first == second
    json.dumps(first.to_json(), allow_nan=False)


def test_a_useless_or_repeated_feature_does_no_harm(make_problem):
    problem, truth = make_problem(n=3000)
    extra = np.column_stack([problem.features, problem.features[:, 0], np.zeros(len(truth))])
    wide = replace(
        problem,
        features=extra,
        columns=(*problem.columns, "copy", "zero"),
        serves=(*problem.serves, None, None),
    )
    found = tune(wide, DEFAULT)
    assert found.directions == 5
    narrow = tune(problem, DEFAULT)
    assert found.lift.lower == pytest.approx(narrow.lift.lower, rel=0.02)


def test_previous_weights_are_a_start(make_problem):
    problem, _ = make_problem(n=2000)
    found = tune(problem, DEFAULT, previous=np.array([0.5, 1.0, 0, 0, 0]))
    assert found.moved
    with pytest.raises(ValueError, match="previous must be"):
        tune(problem, DEFAULT, previous=np.zeros(2))


def test_a_champion_that_is_no_point_of_the_family(make_problem):
    """The logger's clone is anchored as it is, floor and all: (1, 0) is then not quite it."""
    problem, truth = make_problem(n=4000, champion_from_anchor=False)
    found = tune(problem, DEFAULT)
    assert found.moved
    assert true_lift(problem, truth, found.point) > found.lift.lower > 0


def test_a_failing_solver_falls_back(make_problem, monkeypatch):
    import mrlm.meta.tune as module

    class Failed:
        x, success, message = np.full(5, np.nan), False, "singular matrix"

    monkeypatch.setattr(module, "minimize", lambda *a, **k: Failed())
    found = tune(make_problem(n=2000)[0], DEFAULT)
    assert not found.moved
    assert "singular matrix" in found.reason


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"champion": None}, "positive probability"),
        ({"features": None}, "finite"),
        ({"floor": 1.0}, "floor"),
        ({"serves": ()}, "serves"),
    ],
)
def test_bad_problems_are_refused(make_problem, change, match):
    problem, _ = make_problem(n=50)
    if "champion" in change:
        change = {"champion": np.zeros_like(problem.champion)}
    if "features" in change:
        change = {"features": np.full_like(problem.features, np.nan)}
    with pytest.raises(ValueError, match=match):
        replace(problem, **change)
