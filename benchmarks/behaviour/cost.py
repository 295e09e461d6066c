"""What fitting each behaviour model costs: seconds of one core and memory, by rows and history.

Two drawn logs of equal length, whose decisions look back on 12 and on 100 entries in the mean, each
fitted in a process of its own with the settings as they are; memory is the process's peak above
what it held with the log read. The peer is what ``mrlm.behaviour.fitting.cost`` expects of the same
log, by which ``mrlm doctor`` advises. What ``language`` takes beside is printed by
``behaviour.language``. Then the seconds by the clock of ``history`` and ``sequence`` with one
thread and with as many as the machine has cores, at most one a fold: folds side by side, in forks.

Quick: half the users.
"""

from __future__ import annotations

import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch

from benchmarks.rows import Row
from mrlm.behaviour.fitting.cost import LogSize, fit_cost
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.worlds.latent import latent_log

# Users, and decisions of each: 10,000 rows with 12 and with 100 entries.
LOGS = {12: (400, 25), 100: (50, 200)}
_CANDIDATES, _MIB = 4, 1 << 10
_SETTINGS = {
    "pair": {"model": "pair"},
    "history": {"model": "history"},
    "sequence": {"model": "sequence"},
    "history and its student": {"model": "history", "distil": 0.5},
}


def run(quick: bool) -> list[Row]:
    """Seconds and memory a thousand rows, for each model and length of history."""
    rows = []
    for model, of in _SETTINGS.items():
        for entries, (all_users, decisions) in LOGS.items():
            users = all_users // 2 if quick else all_users
            settings = BehaviourSettings.model_validate(of)
            size = LogSize(rows=users * decisions, entries=entries)
            seconds, mib = _apart(settings, users, decisions)
            expected = fit_cost(settings, size)
            note = f"peer: as expected; {size.rows} rows with {entries} entries in the mean"
            rows += [
                Row(f"seconds to fit, {model}", seconds, expected.seconds, note=note),
                Row(f"MiB to fit, {model}", mib, expected.gib * 1024, note=note),
            ]
    return [*rows, *_side_by_side(quick)]


def _side_by_side(quick: bool) -> list[Row]:
    """Seconds by the clock, folds side by side and one after the other."""
    entries = min(LOGS)
    users, decisions = LOGS[entries]
    # Fewer rows than these are never forked.
    users = 2 * users if quick else 8 * users
    rows = []
    for model in ("history", "sequence"):
        settings = BehaviourSettings.model_validate(_SETTINGS[model])
        threads = min(settings.folds, len(os.sched_getaffinity(0)))
        alone, together = (_clocked(settings, users, decisions, n) for n in (1, threads))
        note = f"peer: one thread; {threads} threads, {users * decisions} rows"
        rows.append(Row(f"seconds by the clock, folds of {model}", together, alone, note=note))
    return rows


def _clocked(settings: BehaviourSettings, users: int, decisions: int, threads: int) -> float:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_fit_on, settings, users, decisions, threads).result()


def _fit_on(settings: BehaviourSettings, users: int, decisions: int, threads: int) -> float:
    torch.set_num_threads(threads)
    log, _ = latent_log(users, decisions, _CANDIDATES, seed=0)
    start = time.perf_counter()
    fit_reward_model(log, settings, seed=0)
    return time.perf_counter() - start


def _apart(settings: BehaviourSettings, users: int, decisions: int) -> tuple[float, float]:
    """Seconds and MiB of one fit in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_fit, settings, users, decisions).result()


def _fit(settings: BehaviourSettings, users: int, decisions: int) -> tuple[float, float]:
    torch.set_num_threads(1)
    log, _ = latent_log(users, decisions, _CANDIDATES, seed=0)
    # Everything is imported and compiled before it counts.
    few = log.take(np.arange(500))
    fit_reward_model(few, settings.model_copy(update={"model": "pair", "epochs": 1}), seed=0)
    before, start = _peak(), time.process_time()
    fit_reward_model(log, settings, seed=0)
    return time.process_time() - start, _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
