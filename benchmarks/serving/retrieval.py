"""Candidates that are found for a user: how many of the right ones, and how long it takes."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.rows import Row
from benchmarks.serving._requests import CANDIDATES, ENTRIES
from mrlm.bandit_log import Catalog, Ragged
from mrlm.bandit_log.histories import Histories
from mrlm.promotion.serving.retrieval import Retrieval

_DIMENSIONS = 384


def run(quick: bool) -> list[Row]:
    """Recall and milliseconds over a catalogue of some size."""
    return _retrieval(10_000 if quick else 100_000)


def _retrieval(items: int) -> list[Row]:
    """Against every distance in double precision, sorted."""
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(items, _DIMENSIONS)).astype(np.float32)
    catalog = Catalog.of_names([f"m{n:06d}" for n in range(items)]).with_embedding(vectors)
    retrieval = Retrieval.of(catalog, catalog, CANDIDATES, 0.0)
    if retrieval is None:
        raise RuntimeError("the catalogue has no vectors")
    unit = vectors - vectors.mean(axis=0, dtype=np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    users = [draw.choice(items, ENTRIES, replace=False) for _ in range(50)]
    taken, recall = [], []
    for seen in users:
        offsets = np.array([0, ENTRIES])
        alike = Histories.of_lists(Ragged(offsets, seen), np.ones((ENTRIES, 1), np.float32))
        started = time.process_time()
        found = retrieval.of_user(alike)
        taken.append(1e3 * (time.process_time() - started))
        near = unit @ unit[seen].mean(axis=0)
        near[seen] = -np.inf
        recall.append(len(np.intersect1d(found, np.argsort(-near)[:CANDIDATES])) / CANDIDATES)
    note = f"{items} items of {_DIMENSIONS} dimensions, {len(users)} users with {ENTRIES} entries"
    least = float(np.mean(recall))
    return [
        Row("retrieval: recall@100", least, bar=">= 0.98", holds=least >= 0.98, note=note),
        Row("retrieval: p50, ms", float(np.percentile(taken, 50)), note=note),
    ]
