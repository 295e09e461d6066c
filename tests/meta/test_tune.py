from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.meta.search.step_limits import EffectiveSampleSize
from mrlm.meta.settings import TuningSettings
from mrlm.meta.strategies.pessimistic_bound import nothing_shown
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
        assert found.effective_sample_size >= DEFAULT.least_effective_rows * 0.998
        assert found.theta[0] > found.theta[3]
        assert found.target == "delight"


def test_near_the_best_point_of_a_grid(make_problem):
    problem, _ = make_problem(n=3000, f=2, users=600)
    found = tune(problem, DEFAULT)
    policy = TunedSoftmax(problem)
    lift = PairedLift(problem, policy, problem.rewards[:, 0], problem.q[:, 0], "x")
    sample = EffectiveSampleSize(problem, policy, lift.used, DEFAULT.least_effective_rows)
    best = -np.inf
    for kappa in np.linspace(0, 1, 6):
        for a in np.linspace(0, 8, 17):
            for b in np.linspace(0, 8 - a, 9):
                point = np.array([kappa, a, b])
                if sample.of(point) >= sample.least:
                    best = max(best, lift.lift(point, found.z).lower)
    assert found.lift.lower >= best - 0.02 * abs(best)


def test_no_evidence_keeps_the_champion(make_problem):
    problem, _ = make_problem(n=1000, strength=0.0)
    found = tune(problem, DEFAULT)
    assert not found.moved
    assert found.reason.startswith("no evidence")
    assert "nor is the lift of tonight's head" in found.reason
    assert found.kappa == 1.0
    assert found.theta == (0.0,) * 4
    assert found.scale == 0.0
    assert set(found.shares.values()) == {0.0}


def test_of_a_rare_north_star_the_reason_says_how_rare_it_is(make_problem) -> None:
    problem, _ = make_problem(n=400, strength=0.0)
    rewards = problem.rewards.copy()
    rewards[:, 0] = 0.0
    rewards[[3, 250], 0] = 1.0
    rewards[7, 0] = np.nan
    alone = replace(problem, rewards=rewards, q=np.zeros_like(problem.q))
    assert "other than 0 in 2 of 399 decisions" in nothing_shown(alone)


def test_tonight_s_head_is_proposed_where_the_search_is_too_wide_to_prove_anything(make_problem):
    """Sixty-four directions cost the search its power; one policy named before needs none."""
    problem, truth = make_problem(n=1200, users=300, strength=0.4)
    noise = np.random.default_rng(0).normal(size=(len(truth), 60))
    wide = replace(
        problem,
        features=np.column_stack([problem.features, noise]),
        columns=(*problem.columns, *(f"noise_{j}" for j in range(60))),
        serves=(*problem.serves, *[None] * 60),
    )
    found = tune(wide, DEFAULT)
    assert found.moved
    assert found.kappa == 0.0
    assert found.theta[0] == found.scale > 0
    assert found.z == pytest.approx(1.2816, abs=1e-3)
    assert found.lift.lower > 0
    assert found.effective_sample_size >= DEFAULT.least_effective_rows * 0.998
    assert true_lift(problem, truth, found.point[:5]) > 0
    unnamed = tune(replace(wide, serves=(None,) * 64), DEFAULT)
    assert not unnamed.moved
    assert "no evidence" in unnamed.reason


def test_the_last_weights_are_proposed_over_tonight_s_heads(make_problem):
    """As tonight's own head is, where no search proves anything: they were named before too."""
    problem, truth = make_problem(n=1200, users=300, strength=0.4)
    noise = np.random.default_rng(0).normal(size=(len(truth), 60))
    wide = replace(
        problem,
        features=np.column_stack([problem.features, noise]),
        columns=(*problem.columns, *(f"noise_{j}" for j in range(60))),
        serves=(None,) * 64,
    )
    last = np.array([0.7, 2.0, *np.zeros(63)])
    found = tune(wide, DEFAULT, last)
    assert found.moved
    assert found.kappa == 0.0
    assert found.theta[0] == found.scale > 0
    assert true_lift(problem, truth, found.point[:5]) > 0
    assert not tune(wide, DEFAULT, -last).moved
    assert not tune(wide, DEFAULT, np.eye(65)[0]).moved


def test_features_that_never_vary_move_nothing(make_problem):
    """No direction changes the lift then, and chance alone would choose a start."""
    problem, _ = make_problem(n=1000)
    flat = replace(
        problem,
        features=np.zeros_like(problem.features),
        log_anchor=np.zeros_like(problem.log_anchor),
        serves=(None,) * 4,
    )
    found = tune(flat, DEFAULT)
    assert found.directions == 0
    assert not found.moved
    assert found.evaluations == 0


@pytest.mark.statistics
def test_null_worlds_rarely_move(make_problem):
    """Nothing to gain: each of the two tests moves in at most a tenth of worlds.

    60 worlds; a true rate of .1 for both together fails (more than 13 moves) with probability
    below 1 %.
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
    for settings, limit in (
        (TuningSettings(max_kl=0.05, kl_cap="always"), "the KL cap of 0.05 nats"),
        (TuningSettings(max_scale=0.03), "the largest sum of the weights, 0.24"),
        (TuningSettings(least_effective_rows=3000), "an effective sample size of 3000 of 3"),
        (TuningSettings(least_effective_share=0.8), "an effective sample size of 30"),
    ):
        found = tune(problem, settings)
        assert found.moved
        assert found.kl <= settings.max_kl * 1.001 or settings.kl_cap == "horizon"
        assert found.scale <= 8 * settings.max_scale * (1 + 1e-9)
        known = np.isfinite(problem.rewards[:, 0]).sum()
        asked = max(settings.least_effective_rows, settings.least_effective_share * known)
        assert found.effective_sample_size >= asked * 0.998
        assert 0 <= found.kappa <= 1
        assert min(found.theta) >= 0
        assert [name[: len(limit)] for name in found.limited_by] == [limit]


def test_what_the_evidence_supports_is_taken_whole(make_problem):
    """A tight scale is raised, and the champion's weight may fall to nothing."""
    problem, truth = make_problem(n=20_000, strength=3.0, users=4000)
    whole = tune(problem, TuningSettings(max_scale=64.0))
    raised = tune(problem, TuningSettings(max_scale=8.0))
    assert whole.scale > 8
    assert raised.lift.lower == pytest.approx(whole.lift.lower, rel=0.01)
    best = np.maximum.reduceat(truth, problem.offsets[:-1]).mean()
    champion = (problem.champion * truth).sum() / len(problem.propensity)
    assert true_lift(problem, truth, raised.point) > 0.6 * (0.9 * best + 0.1 * champion - champion)


def test_a_champion_with_little_support_is_no_obstacle(make_problem):
    """It stays permitted, and a step may not have less than it."""
    problem, _ = make_problem(n=4000, strength=2.0)
    found = tune(problem, TuningSettings(least_effective_rows=10**6))
    champion = EffectiveSampleSize(
        problem, TunedSoftmax(problem), np.isfinite(problem.rewards[:, 0]), 10**6
    ).least
    assert found.effective_sample_size >= champion * 0.998


def test_a_score_with_a_horizon_keeps_to_its_own_cap(make_problem):
    problem, _ = make_problem(n=4000, strength=3.0)
    ahead = replace(problem, horizon=("head_0",))
    settings = TuningSettings(max_kl=0.02)
    found = tune(ahead, settings)
    free = tune(problem, settings)
    assert free.kl > 0.02 * 1.001
    assert found.moved
    assert found.theta[0] == 0.0 or found.kl <= 0.02 * 1.001
    only = tune(replace(problem, horizon=problem.columns), settings)
    assert only.moved
    assert only.kl <= 0.02 * 1.001
    assert "the KL cap of 0.02 nats" in only.limited_by
    always = tune(ahead, TuningSettings(max_kl=0.02, kl_cap="always"))
    assert always.limited_by.count("the KL cap of 0.02 nats") == 1


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
    assert found.effective_sample_size >= DEFAULT.least_effective_rows * 0.998
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
    import mrlm.meta.search.within_limits as module

    class Failed:
        x, success, message = np.full(5, np.nan), False, "singular matrix"

    monkeypatch.setattr(module, "minimize", lambda *a, **k: Failed())
    problem, _ = make_problem(n=2000)
    found = tune(replace(problem, serves=(None,) * 4), DEFAULT)
    assert not found.moved
    assert "singular matrix" in found.reason
    assert tune(problem, DEFAULT).theta[1:] == (0.0,) * 3, "the own head needs no solver"


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


def test_an_exposure_floor_is_paid_for_by_what_a_step_gains(make_problem):
    problem, _ = make_problem(n=3000)
    free = tune(problem, DEFAULT)
    policy = TunedSoftmax(problem)

    def exposure(found):
        return float(policy.probabilities(found.point) @ problem.q[:, 1]) / len(problem.shown)

    champion = float(problem.champion @ problem.q[:, 1]) / len(problem.shown)
    target = max(exposure(free), champion) + 0.03
    kept = tune(problem, DEFAULT.model_copy(update={"exposure_floors": {"diversity": target}}))
    assert free.moved
    assert kept.moved
    assert exposure(kept) >= target - 2e-3
    assert 0 < kept.lift.lower < free.lift.value
    out_of_reach = DEFAULT.model_copy(update={"exposure_floors": {"diversity": 0.99}})
    assert not tune(problem, out_of_reach).moved
