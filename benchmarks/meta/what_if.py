"""What a person waits for ``mrlm weights what-if``, and whether its numbers are the night's.

A workspace with one run of the demonstration's size is made without a night: the arrays of two tune
nights, drawn at random, and the files that the stage would write. The commands then run as a person
types them, each in a process of its own, one thread.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ope._subprocesses import ROOT
from benchmarks.rows import Row
from mrlm.bandit_log import Objective
from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.meta.explain.pareto import pareto
from mrlm.meta.explain.what_if import at_point
from mrlm.meta.problem.objective_lifts import lifts_at
from mrlm.meta.problem.tuning_inputs import TuningInputs, save_tuning_inputs
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from pipelines.contract import checksums
from pipelines.contract.manifest import Manifest
from pipelines.stages.tune_weights import ROWS, STAGE

DECISIONS, QUICK_DECISIONS = 15_600, 2_000
CANDIDATES, USERS = 18, 600
SECONDS, SAME, SUM = 2.0, 1e-6, 1e-9
REPEATS = 5
WEIGHTS = {"delight": 0.4, "like": 0.3, "rating": 0.3}
_NAMES = ("delight", "like", "rating", "year", "diversity")
_COLUMNS = (*_NAMES[:3], "uncertainty", "policy_gradient", "q_learning", *_NAMES[3:])
_KEY = "2026-11-20-benchmark"
_SETTINGS = """
[inputs]
impressions = {path = "x"}
feedback = {path = "x"}
items = {path = "x"}
[state]
history_objective = "delight"
[[objectives]]
name = "delight"
source = "feedback"
role = "north_star"
event = "delight"
"""


def run(quick: bool) -> list[Row]:
    """Seconds, and differences from what the library says of the same arrays."""
    problem = _problem(QUICK_DECISIONS if quick else DECISIONS)
    settings = TuningSettings()
    with tempfile.TemporaryDirectory() as folder:
        size = _write(Path(folder), problem, settings)
        typed = ",".join(f"{n}={w}" for n, w in WEIGHTS.items())
        asked, walls, cpu = [], [], []
        for _ in range(REPEATS):
            told, wall, used = _asked(Path(folder), "what-if", typed)
            asked.append(told)
            walls.append(wall)
            cpu.append(used)
        explained, *_ = _asked(Path(folder), "explain")
    wanted = tune(problem, settings.model_copy(update={"weights": WEIGHTS}), seed=1)
    lifts = lifts_at(problem, wanted.point, 0.0)
    gaps = [abs(asked[0]["lifts"][n]["value"] - x.value) for n, x in lifts.items()]
    sums = [
        abs(sum(c["value"] for c in g["contributions"]) - g["lift"]["value"])
        for g in explained["explained"]
    ]
    total = len(problem.log_anchor)
    note = f"{len(problem.shown)} decisions, {total} candidates, {len(_COLUMNS)} features"
    wall = float(np.median(walls))
    return [
        Row(
            "what-if: seconds to wait, median",
            wall,
            None,
            f"at most {SECONDS:g}",
            wall <= SECONDS,
            note,
        ),
        Row("what-if: processor seconds, median", float(np.median(cpu)), note="of them"),
        Row(
            "what-if: largest gap to a night's lift",
            max(gaps),
            None,
            f"at most {SAME:g}",
            max(gaps) <= SAME,
            note,
        ),
        Row(
            "explain: largest gap of the contributions' sum",
            max(sums),
            None,
            f"at most {SUM:g}",
            max(sums) <= SUM,
            f"{len(sums)} groups, unresolved {explained['explained'][0]['unresolved']:.1g}",
        ),
        Row(
            "what a night keeps for it, MB",
            size / 1e6,
            note=f"{size / total:.0f} bytes a candidate",
        ),
    ]


def _asked(folder: Path, *arguments: str) -> tuple[dict[str, Any], float, float]:
    """What the command says, seconds by the clock, and of the processor."""
    command = [sys.executable, "-m", "pipelines.cli", "weights", *arguments, "--json"]
    command += ["--settings", str(folder / "mrlm.toml")]
    environment = {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": "/usr/bin:/bin",
    }
    before, started = _used(), time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    wall = time.perf_counter() - started
    return json.loads(done.stdout), wall, _used() - before


def _used() -> float:
    about = resource.getrusage(resource.RUSAGE_CHILDREN)
    return about.ru_utime + about.ru_stime


def _write(folder: Path, problem: TuningProblem, settings: TuningSettings) -> int:
    """A run's files; bytes of its rows."""
    (folder / "mrlm.toml").write_text(_SETTINGS)
    out = folder / "workspace" / "runs" / _KEY / STAGE.name
    out.mkdir(parents=True)
    result = tune(problem, settings, seed=1)
    lifts = at_point(problem, settings, result.point, moved=result.moved).lifts
    scene = np.array(["home", "search"], object)[np.arange(len(problem.shown)) % 2]
    save_tuning_inputs(TuningInputs(problem, scene, settings, 1), out / ROWS)
    tuned = {**result.to_json(), "lifts": {n: asdict(x) for n, x in lifts.items()}}
    (out / "tuning.json").write_text(json.dumps(tuned))
    front = [asdict(p) for p in pareto(problem, result.kappa, max(result.scale, 1.0), points=3)]
    (out / "pareto.json").write_text(json.dumps(front))
    Manifest(
        stage=STAGE.name,
        night=_KEY[:10],
        run_key=_KEY,
        fingerprint="",
        inputs={},
        settings_fingerprint="",
        code_version="",
        outputs={},
        counts={ROWS: checksums.of_files(out / ROWS)},
        stopped="",
        seconds=0.0,
        files=checksums.of_files(out, (ROWS,)),
        form=STAGE.form,
    ).write(out)
    return sum(p.stat().st_size for p in (out / ROWS).iterdir())


def _problem(n: int) -> TuningProblem:
    """Rounds of a champion that knows a part of what the heads know."""
    g = np.random.default_rng(0)
    lengths = g.integers(CANDIDATES // 2, CANDIDATES * 3 // 2, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    total = int(offsets[-1])
    features = np.clip(g.normal(size=(total, len(_COLUMNS))), -4, 4)
    anchor = segment_log_softmax(0.7 * features[:, 0] + 0.5 * g.normal(size=total), offsets)
    champion = 0.9 * np.exp(anchor) + np.repeat(0.1 / lengths, lengths)
    draw = np.searchsorted(np.cumsum(champion), g.random(n) + np.arange(n))
    shown = np.clip(draw, offsets[:-1], offsets[1:] - 1)
    served = [_COLUMNS.index(name) for name in _NAMES]
    q = 0.5 + 0.1 * np.tanh(features[:, served])
    return TuningProblem(
        offsets=offsets,
        shown=shown,
        propensity=champion[shown],
        cluster=g.integers(0, USERS, n),
        features=features,
        columns=_COLUMNS,
        serves=tuple(c if c in _NAMES else None for c in _COLUMNS),
        log_anchor=anchor,
        champion=champion,
        rewards=(g.random((n, len(_NAMES))) < q[shown]).astype(float),
        q=q,
        objectives=(
            Objective("delight", "feedback", role="north_star", event="delight"),
            *(Objective(name, "list") for name in _NAMES[1:]),
        ),
        floor=0.1,
        weight_clip=10.0,
    )
