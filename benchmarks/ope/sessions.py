"""Sessions of 10,000 steps over 1000 items: exact log weights, finite numbers, a refusal.

Logger and target are softmax policies over 1000 items at every step. The log weights are compared
with mpmath's at 40 digits, from the same probabilities; the product of the ratios, as a peer would
take it, is tried beside them. Then every estimator is timed on a million steps of short sessions.
The full form takes about a minute, the quick one about twenty seconds.
"""

from __future__ import annotations

import time
from dataclasses import replace

import mpmath
import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row
from mrlm.ope import Estimate, EvaluationState, estimates
from mrlm.ope.grouped.log_weights import log_ratio, running_log_weight
from mrlm.ope.sequential import (
    SEQUENTIAL_ESTIMATORS,
    SequentialEstimator,
    SessionBatch,
    cross_fitted_q,
    fit_state_marginal,
)

STEPS, ITEMS, SESSIONS, DIGITS = 10_000, 1000, 20, 40
WITH_CANDIDATES = 3
ERROR = 1e-9
SHORT, LENGTH = 100_000, 10


def run(quick: bool) -> list[Row]:
    """The log weights of long sessions, the verdicts on them, and the seconds of short ones."""
    sessions = 3 if quick else SESSIONS
    logger, target = _probabilities(sessions)
    return [
        *_exact(logger, target),
        *_verdicts(sessions, logger, target),
        *_candidates(2 if quick else WITH_CANDIDATES),
        *_seconds(SHORT // 10 if quick else SHORT),
    ]


def _probabilities(sessions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of the shown items under both policies, (sessions, steps), by real softmax."""
    logger, target = np.empty((sessions, STEPS)), np.empty((sessions, STEPS))
    for i in range(sessions):
        g = np.random.default_rng(i)
        p, q = (_softmax(g.normal(0, 1.5, (STEPS, ITEMS))) for _ in range(2))
        shown = (np.cumsum(p, axis=1) < g.random((STEPS, 1))).sum(1).clip(max=ITEMS - 1)
        row = np.arange(STEPS)
        logger[i], target[i] = p[row, shown], q[row, shown]
    return logger, target


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(logits)
    out: NDArray[np.float64] = e / e.sum(1, keepdims=True)
    return out


def _exact(logger: NDArray[np.float64], target: NDArray[np.float64]) -> list[Row]:
    n = len(logger)
    offsets = np.arange(n + 1) * STEPS
    ours = running_log_weight(log_ratio(target.ravel(), logger.ravel()), offsets)
    ours = ours.reshape(n, STEPS)
    error = 0.0
    with mpmath.workdps(DIGITS):
        for i in range(n):
            total = mpmath.mpf(0)
            for t in range(STEPS):
                total += mpmath.log(mpmath.mpf(float(target[i, t])))
                total -= mpmath.log(mpmath.mpf(float(logger[i, t])))
                error = max(error, abs(float(mpmath.mpf(float(ours[i, t])) - total)))
    with np.errstate(all="ignore"):
        product = np.cumprod(target, axis=1) / np.cumprod(logger, axis=1)
    return [
        Row(
            measure=f"largest error of a log weight, {n} sessions of {STEPS} steps, {ITEMS} items",
            ours=error,
            bar=f"<= {ERROR}",
            holds=error <= ERROR,
            note=f"from mpmath at {DIGITS} digits; log weights down to {ours.min():.0f}",
        ),
        Row(
            measure="share of steps with a finite log weight",
            ours=float(np.isfinite(ours).mean()),
            peer=float((np.isfinite(product) & (product > 0)).mean()),
            bar="1",
            holds=bool(np.isfinite(ours).all()),
            note="peer: quotient of running products of probabilities, as SCOPE-RL forms it",
        ),
    ]


def _verdicts(n: int, logger: NDArray[np.float64], target: NDArray[np.float64]) -> list[Row]:
    total = n * STEPS
    batch = SessionBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * STEPS,
        log_propensity=np.log(logger.ravel()),
        log_target=np.log(target.ravel()),
        rewards=(np.random.default_rng(0).random((total, 1)) < 0.1).astype(float),
        objectives=("click",),
        step_offsets=np.arange(total + 1),
        shown=np.arange(total),
        q=np.full((total, 1), 0.1),
        v=np.full((total, 1), 0.1),
    )
    states = np.arange(total) % 7
    every: list[SequentialEstimator] = [
        *SEQUENTIAL_ESTIMATORS.values(),
        fit_state_marginal(batch, states, 0.99),
    ]
    found = [_estimate(e, batch) for e in every]
    refused = float(np.mean([not e.certified for e in found]))
    finite = float(np.mean([_is_finite(e) for e in found]))
    return [
        Row(
            measure=f"share of {len(found)} estimators that refuse sessions of {STEPS} steps",
            ours=refused,
            bar="1",
            holds=refused == 1,
            note=f"{n} sessions; for example: {found[0].certificate.reason}",
        ),
        Row(
            measure="share of them whose value and interval are finite",
            ours=finite,
            bar="1",
            holds=finite == 1,
        ),
    ]


def _candidates(n: int) -> list[Row]:
    """Doubly robust over every candidate of every step."""
    g = np.random.default_rng(1)
    steps = n * STEPS
    policies = [_softmax(g.normal(0, 1.5, (steps, ITEMS))).ravel() for _ in range(2)]
    shown = np.arange(steps) * ITEMS + g.integers(0, ITEMS, steps)
    start = time.perf_counter()
    batch = SessionBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * STEPS,
        log_propensity=np.log(policies[0][shown]),
        log_target=np.log(policies[1][shown]),
        rewards=np.full((steps, 1), 0.1),
        objectives=("click",),
        step_offsets=np.arange(steps + 1) * ITEMS,
        shown=shown,
        target=policies[1],
        q=g.random((steps * ITEMS, 1)),
    )
    found = _estimate(SEQUENTIAL_ESTIMATORS["sequential_dr"], batch)
    seconds = time.perf_counter() - start
    return [
        Row(
            measure=f"seconds, sequential_dr, {n} sessions of {STEPS} steps, {ITEMS} candidates",
            ours=seconds,
            bar="finite and refused",
            holds=_is_finite(found) and not found.certified,
            note=f"{steps * ITEMS} candidates, checks of the batch included",
        )
    ]


def _seconds(n: int) -> list[Row]:
    steps, candidates = n * LENGTH, 4
    g = np.random.default_rng(2)
    logits = g.normal(0, 0.3, (2, steps, candidates))
    logger, target = (_softmax(x) for x in logits)
    action = (np.cumsum(logger, axis=1) < g.random((steps, 1))).sum(1).clip(max=candidates - 1)
    row = np.arange(steps)
    batch = SessionBatch(
        cluster=g.integers(0, n // 5, n),
        offsets=np.arange(n + 1) * LENGTH,
        log_propensity=np.log(logger[row, action]),
        log_target=np.log(target[row, action]),
        rewards=(g.random((steps, 1)) < 0.2).astype(float),
        objectives=("click",),
        step_offsets=np.arange(steps + 1) * candidates,
        shown=row * candidates + action,
        target=target.ravel(),
    )
    rows = []
    start = time.perf_counter()
    features = g.normal(size=(steps * candidates, 8))
    batch = replace(batch, q=cross_fitted_q(batch, features, 0.9))
    fit = time.perf_counter() - start
    rows.append(_row("cross_fitted_q of 8 features", n, fit, "2 folds of users"))
    states = g.integers(0, 20, steps)
    start = time.perf_counter()
    marginal = fit_state_marginal(batch, states, 0.9)
    rows.append(_row("fit_state_marginal of 20 states", n, time.perf_counter() - start, ""))
    for estimator in [*SEQUENTIAL_ESTIMATORS.values(), marginal]:
        fresh = replace(batch)
        start = time.perf_counter()
        found = _estimate(estimator, fresh)
        seconds = time.perf_counter() - start
        rows.append(_row(estimator.name, n, seconds, f"certified: {found.certified}"))
    return rows


def _row(name: str, n: int, seconds: float, note: str) -> Row:
    return Row(measure=f"seconds, {name}, {n} sessions of {LENGTH} steps", ours=seconds, note=note)


def _estimate(estimator: SequentialEstimator, batch: SessionBatch) -> Estimate:
    return estimates(EvaluationState.of(estimator(batch)))["click"]


def _is_finite(e: Estimate) -> bool:
    return bool(np.isfinite([e.value, e.standard_error, e.lower, e.upper]).all())
