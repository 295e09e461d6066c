"""Milliseconds of an answer in the process, by the server's way in and by the registered one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.rows import Row
from benchmarks.serving import _arithmetic, _version
from benchmarks.serving._requests import CANDIDATES, ENTRIES, NOW, frame, request
from mrlm.promotion.serving.answer import answer
from mrlm.promotion.serving.live import LiveVersion

NEW, KNOWN = "a new user", "a user read before"
# Milliseconds that an answer may take.
_BARS = {
    ("pair", NEW, "p50"): 0.4,
    ("pair", NEW, "p99"): 1.5,
    ("history", KNOWN, "p99"): 3.0,
}


def run(quick: bool) -> list[Row]:
    """Percentiles of both ways, over both behaviour models, and of the arithmetic alone."""
    many, pair = 300 if quick else 3_000, _version.live("pair")
    return [
        *_in_process("pair", pair, many),
        Row(
            "its products, tanh and exp alone, pair: p50, ms",
            float(np.median(_arithmetic.milliseconds(pair))),
            note="no answer takes less by NumPy, whose kernels OPENBLAS_CORETYPE chooses",
        ),
        *_in_process("history", _version.live("history"), many),
    ]


def _in_process(model: str, live: LiveVersion, many: int) -> list[Row]:
    requests = [request(live, n) for n in range(many)]
    taken: dict[str, list[float]] = {NEW: [], KNOWN: []}
    for one in requests:
        # Asked again with another set of candidates, of a user whom it has read.
        again = replace(one, candidates=requests[0].candidates)
        for state, asked in ((NEW, one), (KNOWN, again)):
            started = time.process_time()
            live.answer(asked, NOW)
            taken[state].append(1e3 * (time.process_time() - started))
    frames = [frame(r) for r in requests[: many // 10]]
    by_frames = _milliseconds(lambda n: answer(live.bundle, frames[n], k=1), len(frames))
    rows = []
    for state, found in taken.items():
        for name, level in (("p50", 50), ("p99", 99)):
            value, other = (float(np.percentile(own, level)) for own in (found, by_frames))
            most = _BARS.get((model, state, name))
            rows.append(
                Row(
                    f"in the process, {model}, {state}: {name}, ms",
                    value,
                    other,
                    bar="" if most is None else f"<= {most}",
                    holds=None if most is None else value <= most,
                    note=f"{CANDIDATES} candidates, history of {ENTRIES}, one slot, {many} "
                    "requests; peer: the registered version's own answer, by data frames",
                )
            )
    return rows


def _milliseconds(ask: Callable[[int], object], many: int) -> list[float]:
    ask(0)
    found = []
    for n in range(many):
        started = time.process_time()
        ask(n)
        found.append(1e3 * (time.process_time() - started))
    return found
