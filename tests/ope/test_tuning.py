from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import EvaluationState, estimates
from mrlm.ope.choice.selection import least_bound, slope
from mrlm.ope.choice.tuning import sweep, tune
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.dr_shrinkage import DROptimistic, DRPessimistic
from mrlm.ope.estimators.switch import Switch
from mrlm.ope.estimators.switch_dr import SwitchDR

CLIPS = [ClippedIPS(c) for c in (np.inf, 8.0, 4.0, 2.0, 1.0)]


@pytest.mark.parametrize(
    "family",
    [
        CLIPS,
        [DROptimistic(s) for s in (np.inf, 10.0, 1.0, 0.0)],
        [DRPessimistic(2.0)],
        [Switch(t) for t in (np.inf, 5.0, 3.0, 2.0, 1.5, 1.0)],
        [Switch(t) for t in (1.0, 2.5, 1.7)],
        [SwitchDR(t) for t in (np.inf, 3.0, 0.0)],
    ],
)
def test_sweep_is_that_of_the_members_scores(family, make_batch):
    batch = make_batch(n=300)
    value, error = sweep(batch, family)
    for i, member in enumerate(family):
        found = estimates(EvaluationState.of(member(batch))).values()
        assert value[i] == pytest.approx([e.value for e in found], abs=1e-12)
        assert error[i] == pytest.approx([e.standard_error for e in found], abs=1e-12)


def test_slope_takes_the_last_that_agrees_with_all_before():
    value = np.array([[0.0, 0.0], [0.3, 0.0], [0.55, 5.0], [0.0, 0.0]])
    width = np.array([[0.2, 0.2], [0.1, 0.1], [0.01, 0.01], [0.001, 0.001]])
    assert slope(value, width).tolist() == [1, 1]
    assert slope(value[:1], width[:1]).tolist() == [0, 0]


def test_slope_does_not_excuse_a_later_member_by_its_own_noise():
    value, width = np.array([[0.0], [5.0]]), np.array([[0.1], [10.0]])
    assert slope(value, width).tolist() == [0]


def test_slope_refuses_what_it_cannot_compare():
    with pytest.raises(ValueError, match="not finite"):
        slope(np.array([[np.nan]]), np.array([[1.0]]))
    with pytest.raises(ValueError, match="at least one estimate"):
        slope(np.empty((0, 1)), np.empty((0, 1)))


def test_each_policy_is_tuned_for_itself(make_batch):
    """A target equal to the logger needs no clip; one far from it does where rewards are noise."""
    batch = make_batch(n=400, missing=0.0)
    near = batch.with_target(batch.candidate_propensity, "logger")
    assert set(tune(near, CLIPS).values()) == {CLIPS[0]}
    noise = np.random.default_rng(0).normal(size=(400, 2))
    assert set(tune(replace(batch, rewards=noise), CLIPS).values()) != {CLIPS[0]}
    assert set(tune(near, CLIPS).values()) == {CLIPS[0]}


def test_the_least_bound_is_that_of_variance_and_bias():
    """By hand: a member is taken where even its largest bias leaves it the smaller error."""
    value = np.array([[1.0, 1.0], [0.9, 0.9], [0.5, 0.5]])
    error = np.array([[0.5, 0.2], [0.1, 0.1], [0.01, 0.01]])
    apart = np.array([[0.0, 0.0], [0.1, 0.1], [0.2, 0.2]])
    # 0.25 < 0.01 + (0.1 + 0.2)^2 fails for the first objective only.
    assert least_bound(value, error, apart, 2.0).tolist() == [1, 0]
    assert least_bound(value[:1], error[:1], apart[:1], 2.0).tolist() == [0, 0]
    assert least_bound(np.ones((2, 1)), np.ones((2, 1)), np.zeros((2, 1)), 2.0).tolist() == [0]
    with pytest.raises(ValueError, match="not finite"):
        least_bound(value * np.nan, error, apart, 2.0)


def test_a_family_of_one_kind_with_two_users_is_asked_for(make_batch):
    with pytest.raises(ValueError, match="one kind"):
        tune(make_batch(), [ClippedIPS(), DRPessimistic()])
    with pytest.raises(ValueError, match="two users"):
        tune(make_batch(users=1), CLIPS)


def test_switch_knows_what_is_never_shown(make_batch, monkeypatch):
    """In pieces of any size; a candidate without a chance is left to the model."""
    from mrlm.ope.choice import tuning

    batch = make_batch(n=80, missing=0.0)
    logged = batch.candidate_propensity.copy()
    hidden = np.setdiff1d(np.arange(len(logged)), batch.shown)[::3]
    logged[hidden] = 0.0
    batch = replace(batch, candidate_propensity=logged)
    family = [Switch(t) for t in (8.0, 4.0, 1.0)]
    monkeypatch.setattr(tuning, "CANDIDATES_AT_ONCE", 30)
    value, _ = sweep(batch, family)
    for i, member in enumerate(family):
        assert value[i] == pytest.approx(member(batch).value, abs=1e-12)
    with pytest.raises(ValueError, match="of every candidate"):
        sweep(replace(batch, candidate_propensity=None), family)
