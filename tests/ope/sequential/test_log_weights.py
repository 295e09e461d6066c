"""Weights of very long sessions, against arithmetic of any precision."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mrlm.ope import EvaluationState, estimates
from mrlm.ope.grouped.log_weights import LOG_CAP, running_log_weight, weight_of
from mrlm.ope.sequential import SEQUENTIAL_ESTIMATORS, SessionBatch


def long_sessions(n, steps, items, seed=0):
    """Logs of probabilities of the shown items, logger and target soft over so many items."""
    g = np.random.default_rng(seed)
    out = []
    for _ in range(2):
        shown, rest = g.normal(0, 2, n * steps), g.gamma(items / 50, 50, n * steps)
        out.append(shown - np.logaddexp(shown, np.log(rest)))
    return np.arange(n + 1) * steps, out[0], out[1]


def test_ten_thousand_steps_equal_mpmath():
    mpmath = pytest.importorskip("mpmath")
    offsets, logger, target = long_sessions(3, 10_000, 1000)
    ours = running_log_weight(target - logger, offsets)
    with mpmath.workdps(40):
        exact = []
        for i in range(3):
            total = mpmath.mpf(0)
            for a, b in zip(
                target[offsets[i] : offsets[i + 1]],
                logger[offsets[i] : offsets[i + 1]],
                strict=True,
            ):
                total += mpmath.mpf(float(a)) - mpmath.mpf(float(b))
                exact.append(total)
        error = max(abs(float(mpmath.mpf(float(x)) - y)) for x, y in zip(ours, exact, strict=True))
    assert error < 1e-9


def test_the_running_sum_is_compensated():
    """Large and small terms in turn: a plain running sum loses the small ones."""
    x = np.tile([1e9, 1e-7, -1e9], 5000)
    offsets = np.array([0, 7500, 15_000])
    ours = running_log_weight(x, offsets)
    exact, total = [], Fraction(0)
    for i, value in enumerate(x):
        total = Fraction(0) if i == 7500 else total
        total += Fraction(float(value))
        exact.append(float(total))
    assert ours == pytest.approx(exact, abs=1e-12, rel=1e-15)
    assert np.abs(np.cumsum(x)[2::3] / 1e-7 - np.arange(1, 5001)).max() > 100


def test_a_zero_stays_zero_to_the_end_of_its_session_only():
    x = np.array([1.0, -np.inf, 2.0, 3.0, 4.0, -np.inf])
    found = running_log_weight(x, np.array([0, 3, 5, 6]))
    assert found.tolist() == [1.0, -np.inf, -np.inf, 3.0, 7.0, -np.inf]


def test_weights_are_held_and_zero_is_zero():
    found = weight_of(np.array([-np.inf, -1e4, 0.0, 1e4]))
    assert found.tolist() == [0.0, np.exp(-LOG_CAP), 1.0, np.exp(LOG_CAP)]


@pytest.mark.parametrize("name", SEQUENTIAL_ESTIMATORS)
@pytest.mark.parametrize("seed", range(3))
def test_long_sessions_are_finite_and_refused(name, seed):
    offsets, logger, target = long_sessions(20, 10_000, 1000, seed)
    g = np.random.default_rng(seed)
    steps = len(logger)
    batch = SessionBatch(
        cluster=np.arange(20),
        offsets=offsets,
        log_propensity=logger,
        log_target=target,
        rewards=(g.random((steps, 1)) < 0.1).astype(float),
        objectives=("click",),
        step_offsets=np.arange(steps + 1),
        shown=np.arange(steps),
        q=np.full((steps, 1), 0.1),
        v=np.full((steps, 1), 0.1),
    )
    found = estimates(EvaluationState.of(SEQUENTIAL_ESTIMATORS[name](batch)))["click"]
    assert np.isfinite([found.value, found.standard_error, found.lower, found.upper]).all()
    assert not found.certified
