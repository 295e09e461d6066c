"""What NumPy takes for the arithmetic of an answer alone: products, tanh and exp, nothing else."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.serving._requests import CANDIDATES, ENTRIES
from mrlm.behaviour.features.pair_features import KERNELS
from mrlm.policies.asking.one_asking import ReadsModel
from mrlm.policies.asking.with_scorers import scorers_of
from mrlm.promotion.serving.live import LiveVersion

_TIMES = 200


def milliseconds(live: LiveVersion) -> list[float]:
    """Of arrays as large as those of one answer of a version over ``pair``, several times.

    In the precisions in which the version computes: networks in their own, attention in double.
    """
    asked = scorers_of(live.bundle.policy)
    models = [s.model for s in asked if isinstance(s, ReadsModel)]
    space, kept = models[0].space, models[0].networks
    members = sum(m.folds for m in models)
    projection, hidden = kept.product.shape[1:]
    each = 2 * len(space.history) + space.counts_ignored
    g, precision = np.random.default_rng(0), models[0].precision

    def drawn(*shape: int) -> np.ndarray:
        return g.normal(size=(members, *shape)).astype(precision)

    read, unit = drawn(CANDIDATES, projection + KERNELS * each), drawn(CANDIDATES, hidden)
    first, second = drawn(read.shape[2], hidden), drawn(hidden, hidden)
    # The last layer, and a root of its posterior's covariance.
    last = drawn(hidden, len(models[0].heads) + hidden + 1)
    away = -g.random((len(models), KERNELS, ENTRIES, CANDIDATES))
    summands = g.normal(size=(len(models), 1, each, ENTRIES))
    found = []
    for _ in range(_TIMES):
        started = time.process_time()
        np.matmul(summands, np.exp(away))
        np.matmul(read, first)
        np.tanh(unit)
        np.matmul(unit, second)
        np.tanh(unit)
        np.matmul(unit, last)
        found.append(1e3 * (time.process_time() - started))
    return found
