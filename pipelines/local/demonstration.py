"""The demonstration: a log of a known world, its nights through Airflow, one table at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Literal

from rich.console import Console

from pipelines.care.summary import manifests_of, summarise
from pipelines.care.summary_table import print_summary
from pipelines.contract.context import NightContext, contexts_of
from pipelines.contract.deployment import champion_version, place_of
from pipelines.contract.workspace import Workspace, write_atomically
from pipelines.failures.errors import DataError
from pipelines.local.airflow import ROOT, LocalAirflow, threads_each
from pipelines.nights.lake import shift
from pipelines.running.history import history_closed, history_unchanged
from pipelines.running.night import closing_of
from pipelines.running.progress import terminal_progress
from pipelines.running.run_stage import is_unchanged
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings
from pipelines.stages import ORDER, stage_named

Logs = Literal["movielens", "obd"]

# Pseudonyms of a public data set need no secret; a real deployment sets its own key.
DEMONSTRATION_KEY = "mrlm-demonstration"
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class _Shape:
    """Which nights of a log are history, and which go through Airflow."""

    nights: tuple[str, ...]
    live_from: int

    @classmethod
    def of(cls, first: str, nights: int, live_from: int) -> _Shape:
        return cls(tuple(shift(first, i) for i in range(nights)), live_from)

    @property
    def history(self) -> tuple[str, ...]:
        return self.nights[: self.live_from]

    @property
    def live(self) -> tuple[str, ...]:
        return self.nights[self.live_from :]


_SHAPES: dict[Logs, _Shape] = {
    "movielens": _Shape.of("2026-11-09", nights=12, live_from=8),
    "obd": _Shape.of("2019-11-24", nights=7, live_from=4),
}


def run_demonstration(logs: Logs, workspace: Path) -> None:
    """Run everything that is not done yet, then print the table and where the reports are."""
    console = Console(stderr=True)
    folder = workspace.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    shape = _SHAPES[logs]
    settings_path = folder / "mrlm.toml"
    template = files("pipelines.local.demonstrations").joinpath(f"{logs}.toml")
    write_atomically(settings_path, template.read_text())
    settings = load_settings(settings_path)
    os.environ.setdefault(settings.ingestion.user_key_variable, DEMONSTRATION_KEY)
    os.environ.setdefault("OMP_NUM_THREADS", threads_each())
    _write_log(logs, folder / "raw", console)

    first, last = shape.history[0], shape.history[-1]
    history = [NightContext(n, settings, Workspace(settings.workspace)) for n in shape.history]
    airflow = LocalAirflow(Workspace(settings.workspace), settings_path)
    with ThreadPoolExecutor(1) as background:
        starting: Future[None] | None = None
        try:
            if history_unchanged(history):
                _live_nights(settings, airflow, None, shape, console)
            else:
                # It takes half a minute, most of which is waiting.
                starting = background.submit(airflow.start)
                console.print(f"step 2 of 4, history: nights {first} to {last}, data stages only")
                with _reading(history, shape.live[-1], settings_path):
                    _live_nights(settings, airflow, starting, shape, console)
        finally:
            if starting is not None:
                wait([starting])
            airflow.stop()
    print_summary(summarise(contexts_of(settings), Workspace(settings.workspace)))
    console.print(f"summary: {settings.workspace / 'summary.json'}")
    console.print("pages: 'make ui' opens Airflow and MLflow on this machine")


def _write_log(logs: Logs, raw: Path, console: Console) -> None:
    if (raw / "world.json").is_file():
        return
    console.print(f"step 1 of 4, the demonstration log {logs}: written to {raw}", soft_wrap=True)
    if logs == "obd":
        from mrlm.worlds.obd import write_obd

        write_obd(raw)
    else:
        from mrlm.worlds.writer import write_replay

        shape = _SHAPES[logs]
        show = partial(terminal_progress(), "nights of the log written")
        show(0, len(shape.nights))
        write_replay(raw, nights=len(shape.nights), first_night=shape.nights[0], progress=show)


def _mrlm(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a command in a process of its own, so that its memory is free again afterwards."""
    return subprocess.Popen([sys.executable, "-m", "pipelines.cli", *arguments], cwd=ROOT)


@contextmanager
def _reading(history: Sequence[NightContext], ahead: str, settings: Path) -> Iterator[None]:
    """Read a history, and beside the block the nights after it, up to ``ahead``.

    Raises:
        DataError: the history could not be read.
    """
    first, last = history[0].night, history[-1].night
    with _mrlm("history", first, last, "--ahead", ahead, "--settings", str(settings)) as process:
        try:
            # A night of the log may be stopped, and is shown so; but each must be done.
            while True:
                ended = process.poll() is not None
                if (ended or history_closed(history)) and history_unchanged(history):
                    break
                if ended:
                    raise DataError(f"the nights {first} to {last} could not be read")
                time.sleep(_POLL_SECONDS)
            yield
        except BaseException:
            process.terminate()
            raise


def _live_nights(
    settings: Settings,
    airflow: LocalAirflow,
    starting: Future[None] | None,
    shape: _Shape,
    console: Console,
) -> None:
    """Trigger the nights that are not done; ``starting`` is Airflow's start, where it has begun."""
    workspace = Workspace(settings.workspace)
    todo = [n for n in shape.live if not _closed_unchanged(NightContext(n, settings, workspace))]
    for night in shape.live:
        if night not in todo:
            console.print(f"{night}: unchanged: skipped")
    if not todo:
        return
    console.print(f"Airflow on {airflow.url}, login in {airflow.login_file}", soft_wrap=True)
    if starting is None:
        airflow.start()
    else:
        starting.result()
    if len(todo) > 1 and starting is None:
        # Their data is read while the first champion is made, and while earlier ones learn.
        console.print(f"reading ahead: nights {todo[0]} to {todo[-1]}")
        airflow.trigger("read_ahead", {"first": todo[0], "last": todo[-1]})
    if champion_version(place_of(settings, workspace)) is None:
        console.print("step 3 of 4, first champion: a clone of the logger")
        place = ("--night", shape.history[-1], "--settings", str(airflow.settings_path))
        with _mrlm("bootstrap", *place) as bootstrap:
            if bootstrap.wait() != 0:
                raise DataError(f"'mrlm bootstrap' ended with code {bootstrap.returncode}")
    console.print(f"step 4 of 4: {len(todo)} nights through Airflow")
    for number, night in enumerate(todo, 1):
        console.print(f"night {night} ({number} of {len(todo)})")
        run = airflow.trigger("nightly_retrain", {"night": night})

        def show(task: str, now: str, night: str = night) -> None:
            console.print(f"  {night} {task}: {now}")

        state = airflow.wait("nightly_retrain", run, show)
        closing = closing_of(NightContext(night, settings, workspace))
        console.print(f"  {night}: {closing.verdict if closing else state}")
    console.print("stopping Airflow")


def _closed_unchanged(context: NightContext) -> bool:
    """Whether a night was closed, and every stage that it completed would find nothing to do."""
    closing = closing_of(context)
    if closing is None or closing.verdict == "failed":
        return False
    done = manifests_of(context)
    return all(is_unchanged(stage_named(n), context) for n in ORDER if n in done and n != "publish")
