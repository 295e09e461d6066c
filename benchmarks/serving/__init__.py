"""What an answer costs: in the process, over HTTP, and for many users at once.

A tuned policy of the greatest depth that the meta-update allows, over behaviour models fitted on
the latent world with 10,000 items, answers for 100 candidates and a history of 50. One core, in
processor time, which other work on the machine moves less than the clock. Over HTTP by the clock,
with the load from another process; there and for many users the models are ``history``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.rows import Row
from benchmarks.serving import _load, _version
from mrlm.bandit_log import Catalog, Ragged
from mrlm.bandit_log.histories import Histories
from mrlm.promotion.serving.answer import answer
from mrlm.promotion.serving.live import HistoryEntry, LiveRequest, LiveVersion
from mrlm.promotion.serving.retrieval import Retrieval
from mrlm.promotion.serving.serve import recommend

CANDIDATES, ENTRIES = 100, 50
NEW, KNOWN = "a new user", "a user read before"
# Milliseconds that an answer may take.
_BARS = {
    ("pair", NEW, "p50"): 0.4,
    ("pair", NEW, "p99"): 1.5,
    ("history", KNOWN, "p99"): 3.0,
}
_DIMENSIONS = 384
_NOW = datetime(2026, 11, 21, tzinfo=UTC)


def run(quick: bool) -> list[Row]:
    """Milliseconds of an answer by both ways into the process and over HTTP; users a second."""
    history = _version.live("history")
    many = 300 if quick else 3_000
    return [
        *_in_process("pair", _version.live("pair"), many),
        *_in_process("history", history, many),
        *_over_http(history, seconds=10 if quick else 60),
        _batch(history, 500 if quick else 5_000),
        *_retrieval(10_000 if quick else 100_000),
    ]


def _in_process(model: str, live: LiveVersion, many: int) -> list[Row]:
    requests = [request(live, n) for n in range(many)]
    taken: dict[str, list[float]] = {NEW: [], KNOWN: []}
    for one in requests:
        # Asked again with another set of candidates, of a user whom it has read.
        again = replace(one, candidates=requests[0].candidates)
        for state, asked in ((NEW, one), (KNOWN, again)):
            started = time.process_time()
            live.answer(asked, _NOW)
            taken[state].append(1e3 * (time.process_time() - started))
    frames = [_frame(r) for r in requests[: many // 10]]
    frame = _milliseconds(lambda n: answer(live.bundle, frames[n], k=1), len(frames))
    rows = []
    for state, found in taken.items():
        for name, level in (("p50", 50), ("p99", 99)):
            value, other = (float(np.percentile(own, level)) for own in (found, frame))
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


def _over_http(live: LiveVersion, seconds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        found = _load.paced(live, Path(folder), seconds)
    rate = len(found.milliseconds) / found.seconds
    p99 = float(np.percentile(found.milliseconds, 99))
    note = f"{_load.RATE} asked for a second, {seconds} s, {found.failed} failed"
    return [
        Row(
            "over HTTP: answers a second",
            rate,
            bar=f">= {0.98 * _load.RATE:g}",
            holds=rate >= 0.98 * _load.RATE and not found.failed,
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


def request(live: LiveVersion, seed: int) -> LiveRequest:
    """A request for one slot, with candidates and a history that are drawn anew."""
    g = np.random.default_rng(seed)
    names = live.bundle.catalog.item_id
    candidates = [str(n) for n in names[g.choice(len(names), CANDIDATES, replace=False)]]
    shown = names[g.choice(len(names), ENTRIES, replace=False)]
    history = [
        HistoryEntry(str(n), {"like": float(g.integers(2)), "rating": float(g.normal())})
        for n in shown
    ]
    return LiveRequest(f"r{seed}", "u", candidates, history, k=1)


def _frame(asked: LiveRequest) -> pd.DataFrame:
    history = asked.history or []
    return pd.DataFrame(
        {
            "request_id": [asked.request_id],
            "user": [asked.user],
            "candidates": [asked.candidates],
            "history_items": [[e.item_id for e in history]],
            "history_rewards": [
                {name: [e.rewards[name] for e in history] for name in ("like", "rating")}
            ],
        }
    )


def _milliseconds(ask: Callable[[int], object], many: int) -> list[float]:
    ask(0)
    found = []
    for n in range(many):
        started = time.process_time()
        ask(n)
        found.append(1e3 * (time.process_time() - started))
    return found
