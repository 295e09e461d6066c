"""A long log of a catalogue with a long tail: what is learned of items, by a sample and by all.

50,000 items, offered by Zipf's law; what an item is worth, and half of what tastes are about, is
said by no text. Ten nights of 100,000 to ten million decisions by users who come every night are
written as a night writes them. ``history`` is fitted twice, each time in a process of its own: to
all decisions of some users, about ``split.fit_decisions`` together; and to these, with items by all
decisions, as a night does it. Both predict the clicks of the night after. The tail are all items
but the 5,000 that are offered most. Differences are paired, with 95 % intervals clustered by user.
The baseline ``item_mean`` is fitted in both ways too.

Where a log is not longer than what is read of it, one is fitted: both are the same.

Quick: 30,000 and 300,000 decisions, of which about 30,000 are in the sample.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._clock import Clock
from benchmarks._kept import Kept, code_of
from benchmarks.behaviour._over_seeds import difference_row
from benchmarks.behaviour._worlds.long_log import OBJECTIVES, write_nights
from benchmarks.behaviour._worlds.tail_world import TailWorld
from benchmarks.rows import Row
from mrlm.bandit_log.stored.reader import read_bandit_log
from mrlm.bandit_log.stored.shown_nights import ShownNights
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.learners.baselines.item_mean import fit_item_mean
from mrlm.learners.baselines.item_sums import ItemSums
from mrlm.metrics.clustered import Clustered, clustered_mean
from mrlm.metrics.clustered_auc import clustered_auc
from mrlm.metrics.reliability import log_losses
from pipelines.settings.split import Split

SIZES, QUICK_SIZES = (100_000, 1_000_000, 10_000_000), (30_000, 300_000)
NIGHTS, QUICK_MOST = 10, 30_000
LATER, QUICK_LATER = 100_000, 20_000
SAMPLE, ALL = "items by the sample", "items by all decisions"
# Memory of the longest log against that of the one before; its seconds a decision likewise.
MOST_MEMORY, MOST_SECONDS = 1.15, 1.25
_HEAD, _CLICK, _KIB_PER_GIB = 5_000, "click", 1 << 20


def run(quick: bool) -> list[Row]:
    """What is predicted, and what it takes, of each size."""
    sizes = QUICK_SIZES if quick else SIZES
    most = QUICK_MOST if quick else Split().fit_decisions
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", code_of(__name__))
    found = {
        size: kept.of(["tail", size, most], lambda size=size: cell(size, most, quick))  # type: ignore[misc]
        for size in sizes
    }
    rows = [row for size, of in found.items() for row in _rows(size, of)]
    return [*rows, *_growth(found, judged=not quick)]


def cell(size: int, most: int, quick: bool) -> dict[str, Any]:
    """Both models of a log, each by a process of its own."""
    later = QUICK_LATER if quick else LATER
    with tempfile.TemporaryDirectory() as folder:
        write_nights(TailWorld(), Path(folder), size, range(NIGHTS))
        write_nights(TailWorld(), Path(folder), later, range(NIGHTS, NIGHTS + 1))
        *fit, _ = _nights(folder)
        longer = ShownNights(fit, TailWorld().catalog, OBJECTIVES).longer_than(most // NIGHTS)
        found: dict[str, Any] = {}
        for name in (SAMPLE, ALL) if longer else (SAMPLE,):
            # A process that was forked would begin with the memory of this one.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found |= pool.submit(_fitted, folder, most // NIGHTS, name).result()
    same = {name.replace(SAMPLE, ALL): of for name, of in found.items()}
    return same | found


def _nights(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("night=*"))


def _fitted(folder: str, most: int, name: str) -> dict[str, Any]:
    """Predictions of one model, and what they are compared by."""
    *fit, last = _nights(folder)
    catalog, clock = TailWorld().catalog, Clock()
    log = read_bandit_log(fit, catalog, OBJECTIVES, most)
    nights = ShownNights(fit, catalog, OBJECTIVES)
    whole = nights if name == ALL else None
    clock.lap("read")
    model = fit_reward_model(log, BehaviourSettings(), 0, whole=whole, scratch=Path(folder))
    clock.lap("fit")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    later = read_bandit_log([last], catalog, OBJECTIVES)
    shown = shown_only(later)
    sums = None if whole is None else ItemSums.of(whole, _CLICK)
    mean = fit_item_mean(log, _CLICK, sums)
    return {
        name: np.round(model.score(shown)[:, 0], 6).tolist(),
        f"{name}, item mean": np.round(mean.score(shown)[:, 0], 6).tolist(),
        f"{name}, seconds": clock.seconds,
        f"{name}, GiB": peak / _KIB_PER_GIB,
        f"{name}, known": len(model.items),
        "decisions": len(log),
        "user": later.decisions.user.tolist(),
        "label": later.rewards[:, 0].astype(int).tolist(),
        "tail": (shown.candidates.values >= _HEAD).tolist(),
    }


def _rows(size: int, of: Mapping[str, Any]) -> list[Row]:
    label, rows = np.array(of["label"]), []
    everyone = np.ones(len(label), np.bool_)
    for group, kept in (("all items", everyone), ("the tail", np.array(of["tail"]))):
        user = np.unique(np.array(of["user"])[kept], return_inverse=True)[1]
        areas, losses, means = (dict[str, Clustered]() for _ in range(3))
        for name in (SAMPLE, ALL):
            p = np.array(of[name])[kept]
            areas[name] = clustered_auc(label[kept], p, user)
            losses[name] = clustered_mean(log_losses(label[kept], p), user)
            mean = np.array(of[f"{name}, item mean"])[kept]
            means[name] = clustered_auc(label[kept], mean, user)
        for measure, by in (("AUC", areas), ("log loss", losses), ("AUC of item means", means)):
            what = f"{size}: {measure}, {group}"
            note = f"peer: {SAMPLE}, {of['decisions']} decisions; {int(kept.sum())} clicks or none"
            rows.append(Row(f"{what}, {ALL}", by[ALL].value, by[SAMPLE].value, note=note))
            rows.append(difference_row(f"{what}, all less sample", by[ALL] - by[SAMPLE]))
        less = areas[ALL] - means[ALL]
        rows.append(difference_row(f"{size}: AUC, {group}, history less item means, {ALL}", less))
    for what in ("known", "GiB"):
        named = {"known": "items with a reward", "GiB": "GiB of the process"}[what]
        ours, peer = (float(of[f"{name}, {what}"]) for name in (ALL, SAMPLE))
        rows.append(Row(f"{size}: {named}, {ALL}", ours, peer, note=f"peer: {SAMPLE}"))
    ours, peer = (sum(of[f"{name}, seconds"].values()) for name in (ALL, SAMPLE))
    rows.append(Row(f"{size}: seconds, {ALL}", ours, peer, note=f"processor; peer: {SAMPLE}"))
    return rows


def _growth(found: Mapping[int, Mapping[str, Any]], judged: bool) -> list[Row]:
    """Memory and time of the longest log beside the one before."""
    before, last = list(found)[-2:]
    memory = [found[size][f"{ALL}, GiB"] for size in (before, last)]

    def more(size: int) -> float:
        """Seconds that all decisions take beside the sample, a million of them."""
        took = [sum(found[size][f"{name}, seconds"].values()) for name in (ALL, SAMPLE)]
        return float(took[0] - took[1]) / size * 1e6

    return [
        Row(
            f"GiB, {last} decisions beside {before}",
            memory[1],
            memory[0],
            f"<= {MOST_MEMORY:g} x",
            memory[1] <= MOST_MEMORY * memory[0],
        ).where(judged),
        Row(
            f"seconds a million decisions beside the sample's, {last} beside {before}",
            more(last),
            more(before) or None,
            f"<= {MOST_SECONDS:g} x",
            more(last) <= MOST_SECONDS * more(before),
        ).where(judged and more(before) > 0),
    ]
