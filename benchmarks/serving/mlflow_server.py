"""``mlflow models serve`` under a light load, and what it adds to an answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np

from benchmarks.rows import Row
from benchmarks.serving import _mlflow_process, _server, _version
from benchmarks.serving._load import Paced, paced
from benchmarks.serving._requests import NOW, frame, request
from mrlm.promotion.serving.answer import answer

_RATE = 20


def run(quick: bool) -> list[Row]:
    """Milliseconds under both servers at one rate, and of the same requests in the process."""
    live, seconds = _version.live("history"), 10 if quick else 60
    requests = [request(live, n) for n in range(10 * _RATE)]
    with _mlflow_process.started(live) as server:
        bodies = [_mlflow_process.body(r) for r in requests]
        theirs = paced(server, "/invocations", bodies, _RATE, seconds)
    with _server.started(live) as server:
        ours = paced(server, "/recommend", [_server.body(r) for r in requests], _RATE, seconds)
    frames = [frame(r) for r in requests]
    by_frames = _median(lambda n: answer(live.bundle, frames[n], k=1), len(frames))
    alone = _median(lambda n: live.answer(requests[n], NOW), len(frames))
    note = (
        f"{_RATE} asked for a second, {seconds} s, {theirs.failed} and {ours.failed} failed; "
        f"load of the machine {os.getloadavg()[0]:.1f}"
    )
    return [
        _percentile("p50", 50, theirs, ours, f"{note}; peer: `mrlm serve`"),
        _percentile("p99", 99, theirs, ours, f"{note}; peer: `mrlm serve`", most=25.0),
        Row(
            "MLflow's server: processor time, ms an answer",
            theirs.processor,
            ours.processor,
            note="which other work on the machine moves less; peer: `mrlm serve`",
        ),
        Row(
            "the same requests in the process: p50, ms",
            by_frames,
            alone,
            note="by data frames, as the registered version answers; peer: as `mrlm serve` does",
        ),
        Row(
            "MLflow's server: p50 beyond the answer itself, ms",
            float(np.median(theirs.milliseconds)) - by_frames,
            float(np.median(ours.milliseconds)) - alone,
            note="HTTP, JSON, the signature, data frames; peer: `mrlm serve`, which also logs",
        ),
    ]


def _percentile(
    name: str, level: int, theirs: Paced, ours: Paced, note: str, most: float | None = None
) -> Row:
    value, other = (float(np.percentile(p.milliseconds, level)) for p in (theirs, ours))
    measure = f"MLflow's server: {name}, ms"
    if most is None:
        return Row(measure, value, other, note=note)
    holds = value <= most and not theirs.failed
    return Row(measure, value, other, bar=f"<= {most:g}", holds=holds, note=note)


def _median(ask: Callable[[int], object], many: int) -> float:
    """Milliseconds by the clock, as a server's caller has them."""
    ask(0)
    found = []
    for n in range(many):
        started = time.perf_counter()
        ask(n)
        found.append(1e3 * (time.perf_counter() - started))
    return float(np.median(found))
