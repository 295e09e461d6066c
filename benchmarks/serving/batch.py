"""Users a second that are scored at once."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.rows import Row
from benchmarks.serving import _version
from benchmarks.serving._requests import CANDIDATES
from mrlm.promotion.serving.serve import recommend

MODELS: tuple[_version.Model, ...] = ("pair", "history")


def run(quick: bool) -> list[Row]:
    """A row for each behaviour model."""
    many = 500 if quick else 5_000
    return [_batch(model, many) for model in MODELS]


def _batch(model: _version.Model, many: int) -> Row:
    live = _version.live(model)
    decisions = _version.decisions(live, many, CANDIDATES)
    names = [f"r{n}" for n in range(many)]
    recommend(live.bundle.policy, decisions.take(np.arange(100)), names[:100], 1, 0)
    started = time.process_time()
    recommend(live.bundle.policy, decisions, names, 1, 0)
    rate = many / (time.process_time() - started)
    return Row(
        f"many users at once, a list of one slot each, over {model}: users a second",
        rate,
        bar=">= 3000",
        holds=rate >= 3000,
        note=f"{many} users, {CANDIDATES} candidates each, histories of the world's log",
    )
