from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log.ragged import Ragged
from mrlm.log_checks.propensity_moments import propensity_moments

SIZES = [2, 3, 5, 4, 3, 6] * 40
RNG = np.random.default_rng(8)
Q = [RNG.dirichlet(np.ones(k)) for k in SIZES]
P = np.array([RNG.choice(q, p=q) for q in Q])
LISTS = Ragged.from_rows([q.tolist() for q in Q], "float64")


def test_moments_are_those_of_each_slot() -> None:
    found = propensity_moments(np.array(SIZES), P, LISTS, P)
    n, k = len(P), np.mean(SIZES)
    entropy = np.array([-(q * np.log(q)).sum() for q in Q])
    surprise = np.array([(q * np.log(q) ** 2).sum() for q in Q]) - entropy**2
    inverse = np.array([(1 / q).sum() - len(q) ** 2 for q in Q])
    assert found == {
        "slots": n,
        "logged_slots": n,
        "candidates": pytest.approx(k),
        "inverse_propensity_gap": pytest.approx((1 / P).mean() / k - 1),
        "inverse_propensity_error": pytest.approx(np.sqrt(inverse.mean() / n) / k),
        "log_propensity_gap": pytest.approx((np.log(P) + entropy).mean() / entropy.mean()),
        "log_propensity_error": pytest.approx(np.sqrt(surprise.mean() / n) / entropy.mean()),
    }


def test_what_was_really_drawn_is_within_its_errors() -> None:
    """Five standard errors: a true log passes but for one in a million."""
    found = propensity_moments(np.array(SIZES), P, LISTS, P)
    for name in ("inverse_propensity", "log_propensity"):
        gap, error = found[f"{name}_gap"], found[f"{name}_error"]
        assert gap is not None
        assert error is not None
        assert abs(gap) <= 5 * error


def test_slots_that_log_one_propensity_are_tested_by_its_inverse_alone() -> None:
    nothing = Ragged(np.zeros(1, np.int64), np.array([]))
    found = propensity_moments(np.array(SIZES), P, nothing, np.array([]))
    assert (found["logged_slots"], found["log_propensity_gap"]) == (0, None)
    spread = (1 / P - SIZES).std(ddof=1)
    expected = spread / np.sqrt(len(P)) / np.mean(SIZES)
    assert found["inverse_propensity_error"] == pytest.approx(expected)


def test_a_slot_with_a_candidate_that_is_never_shown_is_left_out_of_what_is_logged() -> None:
    lists = Ragged.from_rows([[0.5, 0.5], [1.0, 0.0], [0.2, 0.8]], "float64")
    p = np.array([0.5, 1.0, 0.8])
    found = propensity_moments(np.array([2, 2, 2]), p, lists, p)
    assert (found["slots"], found["logged_slots"]) == (3, 2)
    entropy = np.array([np.log(2), -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))])
    gap = (np.log([0.5, 0.8]) + entropy).mean() / entropy.mean()
    assert found["log_propensity_gap"] == pytest.approx(gap)


def test_of_no_slots_nothing_is_known() -> None:
    nothing = Ragged(np.zeros(1, np.int64), np.array([]))
    found = propensity_moments(np.array([], np.int64), np.array([]), nothing, np.array([]))
    assert found.pop("slots") == found.pop("logged_slots") == 0
    assert set(found.values()) == {None}
