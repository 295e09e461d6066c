"""Users a second that are scored at once."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.rows import Row
from benchmarks.serving import _version
from benchmarks.serving._requests import CANDIDATES
from mrlm.promotion.serving.live import LiveVersion
from mrlm.promotion.serving.serve import recommend


def run(quick: bool) -> list[Row]:
    """One row."""
    return [_batch(_version.live("history"), 500 if quick else 5_000)]


def _batch(live: LiveVersion, many: int) -> Row:
    decisions = _version.decisions(live, many, CANDIDATES)
    names = [f"r{n}" for n in range(many)]
    recommend(live.bundle.policy, decisions.take(np.arange(100)), names[:100], 1, 0)
    started = time.process_time()
    recommend(live.bundle.policy, decisions, names, 1, 0)
    rate = many / (time.process_time() - started)
    return Row(
        "many users at once, a list of one slot each: users a second",
        rate,
        bar=">= 3000",
        holds=rate >= 3000,
        note=f"{many} users, {CANDIDATES} candidates each, histories of the world's log",
    )
