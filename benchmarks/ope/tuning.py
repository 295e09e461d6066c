"""Fifty shrinkage parameters: one pass over the candidates, then one scan of the rounds each."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.ope.parity import value_of
from benchmarks.rows import Row
from mrlm.ope import EvaluationBatch
from mrlm.ope.choice.tuning import tune
from mrlm.ope.estimators.dr_shrinkage import DROptimistic

CANDIDATES = 50
PARAMETERS = 50
BAR_SECONDS = 0.2


def log(n: int, k: int, seed: int) -> EvaluationBatch:
    """Rounds of a uniform logger over k candidates each, one objective, one round a user."""
    g = np.random.default_rng(seed)
    target = g.exponential(size=(n, k))
    target /= target.sum(1, keepdims=True)
    action = g.integers(0, k, n)
    return EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * k,
        target=target.ravel(),
        shown=np.arange(n) * k + action,
        propensity=np.full(n, 1 / k),
        rewards=(g.random(n) < 0.1).astype(float)[:, None],
        objectives=("click",),
        q=g.random((n * k, 1)),
    )


def run(quick: bool) -> list[Row]:
    """Seconds of tuning at 1e5 rounds (1e4 in the quick form), and of obp's estimates of the same.

    The catalog may have any size: a round has 50 candidates, what a log of a thousand items has
    after retrieval.
    obp 0.4.1 has no tuning class, so its estimator is called once a parameter, over the same
    50 candidates as a dense array, at one tenth of the rounds.
    """
    n = 10_000 if quick else 100_000
    strengths = np.geomspace(1e4, 1e-2, PARAMETERS)
    family = [DROptimistic(float(s)) for s in strengths]
    seconds = min(_seconds(lambda b: tune(b, family), log(n, CANDIDATES, s)) for s in range(3))
    small = log(n // 10, CANDIDATES, 9)
    ours = _seconds(lambda b: tune(b, family), small)
    peer = _seconds(lambda b: _obp(b, strengths), small)
    return [
        Row(
            f"seconds, {PARAMETERS} shrinkage values, {n} rounds",
            seconds,
            bar=f"< {BAR_SECONDS}",
            holds=seconds < BAR_SECONDS,
            note=f"{CANDIDATES} candidates a round; best of 3",
        ),
        Row(
            f"seconds, the same at {n // 10} rounds",
            ours,
            peer,
            note="obp 0.4.1 DoublyRobustWithShrinkage, once a value",
        ),
    ]


def _seconds(function, batch: EvaluationBatch) -> float:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    function(batch)
    return time.perf_counter() - start


def _obp(batch: EvaluationBatch, strengths: np.ndarray) -> None:
    from obp.ope import DoublyRobustWithShrinkage

    for strength in strengths:
        value_of(DoublyRobustWithShrinkage(lambda_=float(strength)))(batch)
