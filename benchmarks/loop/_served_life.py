"""A platform that runs MRLM as its users do: ``mrlm serve``, files, ``mrlm night``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._demonstration import settings as demonstration
from benchmarks.learners.challenger import logger_policy
from benchmarks.loop._platform import Lists, deliver, feedback_rows, impression_rows, item_rows
from benchmarks.loop._server import Server
from benchmarks.loop._world import Size, world_of
from mrlm.bandit_log.objectives import north_star
from mrlm.policies.uniform import Uniform
from mrlm.worlds.live_replay import LiveReplay, ShownNight
from pipelines.contract.context import NightContext
from pipelines.contract.workspace import Workspace
from pipelines.nights.champion import on_trial, served_as
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings

SETTINGS = Path(__file__).with_name("served.toml")
_SERVED = "served"


@dataclass
class Deployment:
    """A folder with settings, raw files, a workspace and the platform's own records.

    Attributes:
        folder: of this deployment alone.
        size: of its world.
        seed: of its world.
    """

    folder: Path
    size: Size
    seed: int

    @cached_property
    def settings_path(self) -> Path:
        """The settings file, written on first use."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "mrlm.toml"
        path.write_text(SETTINGS.read_text())
        return path

    @cached_property
    def settings(self) -> Settings:
        """As every command reads them."""
        return load_settings(self.settings_path)

    @property
    def environment(self) -> dict[str, str]:
        """The key of pseudonyms: those of a public data set need no secret."""
        return {self.settings.ingestion.user_key_variable: "mrlm-closed-loop"}

    def context(self, night: str) -> NightContext:
        """Of a night of its workspace."""
        return NightContext(night, self.settings, Workspace(self.settings.workspace))

    def world(self) -> LiveReplay:
        """Its world, before the first night: what users do is of the demonstration, when it arrives
        is of these settings.
        """
        window = {o.name: o.window_nights for o in self.settings.objective_tuple}
        known = demonstration().objective_tuple
        objectives = (replace(o, window_nights=window[o.name]) for o in known)
        return world_of(self.seed, self.size, tuple(objectives))

    @cached_property
    def first_offered(self) -> list[list[int]]:
        """Codes of the items that are on offer for the first time, by night.

        How many ratings come on offer depends on how many are shown, not on which.
        """
        world, seen, found = self.world(), set[int](), []
        for _ in range(self.size.nights):
            items = {*world.show(Uniform()).log.decisions.candidates.values.tolist()}
            found.append(sorted(items - seen))
            seen |= items
        return found

    def mrlm(self, *arguments: str) -> str:
        """What a command prints.

        Raises:
            RuntimeError: it ends with another code than 0.
        """
        command = [sys.executable, "-m", "pipelines.cli", *arguments]
        done = subprocess.run(
            [*command, "--settings", str(self.settings_path)],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"mrlm {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}"
            )
        return done.stdout


@dataclass
class ServedLife:
    """What happened so far.

    Attributes:
        deployment: where.
        history: nights that the platform's own logger showed before there was a champion.
        shown: every night, oldest first.
        told: by night that was served: ``verdict``, ``reason``, ``champion`` and ``trial`` after
            it, ``reloads`` that the server had done, ``asked`` in this process, ``seconds``.
    """

    deployment: Deployment
    history: int
    shown: list[ShownNight] = field(default_factory=list)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Nights so far, ISO dates."""
        return [str(s.log.night[0]) for s in self.shown]

    def answers(self, night: str) -> Path:
        """Record of what the server answered on a night."""
        return self.deployment.folder / "answers" / f"{night}.jsonl"


def live(deployment: Deployment, history: int) -> ServedLife:
    """All nights: a history of the platform's own logger, a first champion, and served nights.

    Nights that are done are read from the records; the one in which a run was killed goes on.
    """
    life, world = ServedLife(deployment, history), deployment.world()
    done = deployment.folder / "nights.json"
    if done.exists():
        life.told.update(json.loads(done.read_text()))
    for night in range(history):
        life.shown.append(world.show(logger_policy()))
        _deliver(life, night)
    names = life.names()
    last = deployment.folder / "first-champion"
    if not last.exists():
        for name, shown in zip(names, life.shown, strict=True):
            path = deployment.folder / "workspace" / _SERVED / f"dt={name}" / "logger.jsonl"
            deliver(path, impression_rows(shown.log))
        deployment.mrlm("history", names[0], names[-1])
        deployment.mrlm("bootstrap", "--night", names[-1])
        last.write_text(names[-1])
    first = opening(str(np.datetime64(names[-1]) + 1))
    with Server(deployment.settings_path, deployment.environment, first) as server:
        for night in range(history, deployment.size.nights):
            _serve(life, world, night, server)
            done.write_text(json.dumps(life.told, indent=1))
    return life


def _serve(life: ServedLife, world: LiveReplay, night: int, server: Server) -> None:
    deployment, before = life.deployment, life.names()[-1]
    name, started = str(np.datetime64(before) + 1), time.monotonic()
    lists = Lists(server, life.answers(name), world.slots)
    if name not in life.told:
        server.set_clock(opening(name))
        server.wait_for(serving(deployment.context(name)), before)
    life.shown.append(world.show_chosen(_SERVED, lists))
    if name in life.told:
        return
    _deliver(life, night)
    closing = json.loads(deployment.mrlm("night", name).splitlines()[-1])
    context = deployment.context(str(np.datetime64(name) + 1))
    life.told[name] = {
        "verdict": closing["verdict"],
        "reason": closing["reason"],
        "serves": serving(context),
        "asked": lists.asked,
        "seconds": time.monotonic() - started,
    }


def opening(night: str) -> str:
    """When a night begins."""
    return f"{night}T00:00:00+00:00"


def serving(context: NightContext) -> str:
    """The log's name of who serves a night: the champion, and the challenger on trial if any."""
    from mrlm.promotion.record.ledger import champion_stack

    champion = champion_stack(context.registry.ledger.entries())[-1]
    return served_as(context, champion, on_trial(context))


def _deliver(life: ServedLife, night: int) -> None:
    """The files of a night: what its lists brought, what earlier ones bring late, new items.

    Items arrive on the night before they are on offer for the first time.
    """
    name, raw, log = life.names()[night], life.deployment.folder / "raw", life.shown[night].log
    late = north_star(log.objectives).window_nights
    rows = list(feedback_rows(log, 0))
    if night >= late:
        rows += feedback_rows(life.shown[night - late].log, late)
    deliver(raw / "feedback" / f"dt={name}" / "feedback.jsonl", iter(rows))
    new = life.deployment.first_offered[0 if night == 0 else night + 1 : night + 2]
    codes = [code for tomorrow in new for code in tomorrow]
    deliver(raw / "items" / f"dt={name}" / "items.jsonl", item_rows(log, codes, name))
