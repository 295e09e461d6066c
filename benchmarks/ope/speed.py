"""DR with its interval on a large log, and side by side with obp."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ope._subprocesses import measured, peak_gib
from benchmarks.rows import Row

CANDIDATES = 50
REPEATS = 5
_MODULE = "benchmarks.ope.speed"


def run(_quick: bool) -> list[Row]:
    """One form, of half a minute: fewer rows would time how functions are called.

    Values are best of five, wall and processor time apart, one thread, each side in its own
    process; memory is the peak of the whole process, inputs included. obp's interval, its bootstrap
    with 1,000 resamples (a tenth of its default), is taken once. The target policy
    has its probability on 50 items a row, which obp must be given as rows x items.
    """
    n, n_obp = 1_000_000, 100_000
    big = measured(_MODULE, "ours", str(n), "10000")
    ours, theirs = (measured(_MODULE, who, str(n_obp), "1000") for who in ("ours", "obp"))
    sizes = f"{n} rows, 10000 items, {CANDIDATES} candidates a row"
    shape = f"{n_obp} rows, 1000 items"
    small = f"{shape}; obp DoublyRobust, value only, without an interval"
    apart = abs(ours["value"] - theirs["value"])
    faster = theirs["seconds"] / ours["seconds"]
    work = theirs["cpu"] / ours["cpu"]
    both = theirs["interval"] / ours["seconds"]
    bare = theirs["seconds"] / ours["bare"]
    less = theirs["gib"] / ours["gib"]
    return [
        Row(
            "DR with interval, s",
            big["seconds"],
            bar="< 1",
            holds=big["seconds"] < 1,
            note=f"{sizes}; processor time {big['cpu']:.2f} s, checks of the batch included",
        ),
        Row("its peak memory, GiB", big["gib"], bar="< 1", holds=big["gib"] < 1, note=sizes),
        Row(
            "DR value against obp, difference",
            apart,
            bar="<= 1e-10",
            holds=apart <= 1e-10,
            note=small,
        ),
        Row(
            "DR with interval on both sides, s",
            ours["seconds"],
            theirs["interval"],
            "50 times faster",
            both >= 50,
            f"{shape}; {both:.0f} times faster",
        ),
        Row(
            "bare DR value on both sides, s",
            ours["bare"],
            theirs["seconds"],
            "50 times faster",
            bare >= 50,
            f"{shape}; {bare:.0f} times faster; ours with the round scores and weights",
        ),
        Row(
            "DR with interval against a bare value, s",
            ours["seconds"],
            theirs["seconds"],
            "50 times faster",
            faster >= 50,
            f"{small}; {faster:.0f} times faster",
        ),
        Row(
            "the same in processor time, s",
            ours["cpu"],
            theirs["cpu"],
            note=f"{small}; {work:.0f} times less",
        ),
        Row(
            "its peak memory, GiB",
            ours["gib"],
            theirs["gib"],
            "20 times less",
            less >= 20,
            f"{small}; {less:.1f} times less",
        ),
    ]


def _log(n: int, items: int) -> dict[str, NDArray[Any]]:
    g = np.random.default_rng(0)
    # 50 different items a row: a random start and a stride, without rows x items.
    first = g.integers(0, items, n)
    target = g.random((n, CANDIDATES))
    target /= target.sum(1, keepdims=True)
    return {
        "first": first,
        "target": target.reshape(-1),
        "q": g.random(n * CANDIDATES),
        "place": g.integers(0, CANDIDATES, n),
        "reward": (g.random(n) < 0.1).astype(float),
        "user": g.integers(0, n // 10, n),
    }


def _ours(n: int, items: int) -> dict[str, float]:
    from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState, estimates

    log = _log(n, items)
    offsets = np.arange(n + 1) * CANDIDATES
    shown = offsets[:-1] + log["place"]
    times, cpu, bare, value = [], [], [], 0.0
    for _ in range(REPEATS):
        start, busy = time.perf_counter(), time.process_time()
        scores = ESTIMATORS["dr"](
            EvaluationBatch(
                cluster=log["user"],
                offsets=offsets,
                target=log["target"],
                shown=shown,
                propensity=np.full(n, 1 / CANDIDATES),
                rewards=log["reward"][:, None],
                objectives=("click",),
                q=log["q"][:, None],
            )
        )
        assert np.isfinite(scores.value).all()
        bare.append(time.perf_counter() - start)
        value = estimates(EvaluationState.of(scores))["click"].value
        times.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    return {
        "seconds": min(times),
        "bare": min(bare),
        "cpu": min(cpu),
        "value": value,
        "gib": peak_gib(),
    }


def _obp(n: int, items: int) -> dict[str, float]:
    from obp.ope import DoublyRobust

    log = _log(n, items)
    row = np.arange(n)
    item = (log["first"][:, None] + np.arange(CANDIDATES)) % items
    target = np.zeros((n, items, 1))
    target[row[:, None], item, 0] = log["target"].reshape(n, CANDIDATES)
    q = np.zeros((n, items, 1))
    q[row[:, None], item, 0] = log["q"].reshape(n, CANDIDATES)
    inputs = {
        "reward": log["reward"],
        "action": item[row, log["place"]],
        "pscore": np.full(n, 1 / CANDIDATES),
        "action_dist": target,
        "position": np.zeros(n, int),
        "estimated_rewards_by_reg_model": q,
    }
    times, cpu, value = [], [], 0.0
    for _ in range(REPEATS):
        start, busy = time.perf_counter(), time.process_time()
        value = DoublyRobust().estimate_policy_value(**inputs)
        times.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    start = time.perf_counter()
    DoublyRobust().estimate_interval(**inputs, n_bootstrap_samples=1000, random_state=0)
    return {
        "seconds": min(times),
        "cpu": min(cpu),
        "interval": time.perf_counter() - start,
        "value": float(value),
        "gib": peak_gib(),
    }


if __name__ == "__main__":
    who, rows, catalog = sys.argv[1:]
    print(json.dumps({"ours": _ours, "obp": _obp}[who](int(rows), int(catalog))))
