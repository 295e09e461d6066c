"""``mrlm serve`` under load: answers a second, and milliseconds."""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Row
from benchmarks.serving import _server, _version
from benchmarks.serving._load import paced
from benchmarks.serving._requests import request

_RATE = 200


def run(quick: bool) -> list[Row]:
    """Requests that come at their time, from another process."""
    live, seconds = _version.live("history"), 10 if quick else 60
    bodies = [_server.body(request(live, n)) for n in range(_RATE)]
    with _server.started(live) as server:
        found = paced(server, "/recommend", bodies, _RATE, seconds)
    rate = len(found.milliseconds) / found.seconds
    p99 = float(np.percentile(found.milliseconds, 99))
    note = f"{_RATE} asked for a second, {seconds} s, {found.failed} failed"
    return [
        Row(
            "over HTTP: answers a second",
            rate,
            bar=f">= {0.98 * _RATE:g}",
            holds=rate >= 0.98 * _RATE and not found.failed,
            note=note,
        ),
        Row(
            "over HTTP: p99, ms",
            p99,
            bar="<= 8",
            holds=p99 <= 8,
            note=f"{note}; from the time at which a request was due",
        ),
    ]
