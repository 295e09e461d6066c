from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.evidence.paired import flagged_nights
from mrlm.evidence.scored_log import scored_log
from mrlm.ope.intervals import estimates
from tests.evidence.arrays import (
    DELIGHT,
    Heads,
    Prefers,
    clustered_error,
    criteria,
    doubly_robust,
    make_log,
    paired_state,
    weights,
)

FIRST, SECOND = Prefers(0.4), Prefers(-0.2)


def test_the_paired_difference_is_that_of_the_scores() -> None:
    """Value and clustered error by hand, of inverse propensity weights and doubly robust."""
    log = make_log()
    reward = log.rewards[:, 0]
    q = scored_log(log, {}, Heads()).q
    gap = {
        "ips": (weights(FIRST, log) - weights(SECOND, log)) * reward,
        "dr": doubly_robust(FIRST, log) - doubly_robust(SECOND, log),
    }
    for name, score in gap.items():
        found = estimates(paired_state(log, FIRST, SECOND, q, name))["delight"]
        assert found.value == pytest.approx(score.mean(), abs=1e-12)
        error = clustered_error(score, log.decisions.user)
        assert found.standard_error == pytest.approx(error, rel=1e-9)
        assert (found.policy, found.rows) == ("challenger - champion", len(log))


def test_self_normalised_weights_need_no_model() -> None:
    log = make_log()
    reward, w, v = log.rewards[:, 0], weights(FIRST, log), weights(SECOND, log)
    expected = (w @ reward) / w.sum() - (v @ reward) / v.sum()
    found = estimates(paired_state(log, FIRST, SECOND, None, "snips"))["delight"]
    assert found.value == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="reward model"):
        paired_state(log, FIRST, SECOND, None, "dr")
    with pytest.raises(KeyError):
        paired_state(log, FIRST, SECOND, None, "no such estimator")


def test_a_reward_that_is_not_final_does_not_count() -> None:
    log = make_log()
    final = log.final.copy()
    final[::3, 0] = False
    kept = log.where(final[:, 0])
    whole = paired_state(replace(log, final=final), FIRST, SECOND, None, "ips")
    assert estimates(whole)["delight"].value == pytest.approx(
        estimates(paired_state(kept, FIRST, SECOND, None, "ips"))["delight"].value, abs=1e-12
    )
    assert estimates(whole)["like"].rows == len(log)


def test_a_missing_propensity_is_refused() -> None:
    log = make_log()
    gone = np.where(np.arange(len(log)) == 7, np.nan, log.propensity)
    with pytest.raises(ValueError, match="row 7"):
        paired_state(replace(log, propensity=gone), FIRST, SECOND, None, "ips")


def test_nights_carry_the_flag_where_a_propensity_is_an_estimate() -> None:
    """All or none, so that they merge; certified only where the logger hid nothing."""
    states = {n: paired_state(make_log(s), FIRST, SECOND, None, "ips") for s, n in enumerate("ab")}
    same = flagged_nights(states, estimated=False, no_hidden_confounding=False)
    assert same is states
    needed = criteria().thresholds
    plain = estimates(states["a"].merge(states["b"]), 0.95, needed)[DELIGHT.name]
    assert plain.certified
    for known in (False, True):
        flagged = flagged_nights(states, estimated=True, no_hidden_confounding=known)
        assert list(flagged) == ["a", "b"]
        both = estimates(flagged["a"].merge(flagged["b"]), 0.95, needed)[DELIGHT.name]
        assert both.estimator == "ips (estimated propensities)"
        assert both.certified is known
        assert both.value == plain.value
    with pytest.raises(ValueError, match="estimat"):
        states["a"].merge(flagged["b"])
