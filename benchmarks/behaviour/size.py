"""A log that is longer than memory: what a night reads of it, and what fitting on it costs.

Logs of 100,000, of one and of ten million decisions of 20 candidates, ten nights each, drawn and
written as a night writes them. Each is read and fitted in a process of its own, as a night does it
with the settings as they are: all decisions of some users, about ``split.fit_decisions`` together.
Memory is the process's peak. What is read grows with the log, what is fitted on stops growing.

Quick: 30,000 and 300,000 decisions, of which about 30,000 are fitted on.
"""

from __future__ import annotations

import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from benchmarks._clock import processor_seconds
from benchmarks.behaviour._worlds.long_log import OBJECTIVES, EvenWorld, write_nights
from benchmarks.rows import Row
from mrlm.bandit_log.stored.reader import read_bandit_log
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from pipelines.settings.split import Split

SIZES, QUICK_SIZES = (100_000, 1_000_000, 10_000_000), (30_000, 300_000)
NIGHTS, QUICK_MOST = 10, 30_000
# Memory of the longest log against that of the one before; its decisions a second likewise.
MOST_MEMORY, LEAST_SPEED = 1.15, 0.8
_KIB_PER_GIB = 1 << 20


@dataclass(frozen=True)
class Fitted:
    """What one log took.

    Attributes:
        read_seconds: processor seconds to read it.
        fit_seconds: processor seconds to fit the behaviour model.
        decisions: that were fitted on.
        gib: peak of the process.
    """

    read_seconds: float
    fit_seconds: float
    decisions: int
    gib: float


def run(quick: bool) -> list[Row]:
    """Memory and time of each size, beside those of the one before."""
    sizes, most = (QUICK_SIZES, QUICK_MOST) if quick else (SIZES, Split().fit_decisions)
    found = {size: _apart(size, most // NIGHTS) for size in sizes}
    rows = []
    for size, of in found.items():
        note = f"{of.decisions} decisions of {size} fitted on"
        speed = of.decisions / of.fit_seconds
        rows += [
            Row(f"{size}: decisions of the log read a second", size / of.read_seconds, note=note),
            Row(f"{size}: decisions fitted on a second", speed, note="history, all epochs"),
            Row(f"{size}: GiB", of.gib),
        ]
    before, last = (found[size] for size in sizes[-2:])
    speeds = [size / found[size].read_seconds for size in sizes[-2:]]
    return [
        *rows,
        Row(
            "GiB of the longest log, beside the one before",
            last.gib,
            before.gib,
            f"<= {MOST_MEMORY:g} x",
            last.gib <= MOST_MEMORY * before.gib,
        ).where(not quick),
        Row(
            "decisions of the longest log read a second, beside the one before",
            speeds[1],
            speeds[0],
            f">= {LEAST_SPEED:g} x",
            speeds[1] >= LEAST_SPEED * speeds[0],
        ).where(not quick),
    ]


def _apart(size: int, most: int) -> Fitted:
    """What a log of this size takes a new process."""
    with tempfile.TemporaryDirectory() as folder:
        write_nights(EvenWorld(), Path(folder), size, range(NIGHTS))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(_fit, folder, most).result()


def _fit(folder: str, most: int) -> Fitted:
    items, begin = EvenWorld().catalog, processor_seconds()
    log = read_bandit_log(sorted(Path(folder).iterdir()), items, OBJECTIVES, most)
    middle = processor_seconds()
    fit_reward_model(log, BehaviourSettings(), seed=0)
    end, peak = processor_seconds(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Fitted(middle - begin, end - middle, len(log), peak / _KIB_PER_GIB)
