"""The contract of a stage, and how one is run so that it may be killed at any point.

A stage writes into a staging folder, the folder is renamed, and the manifest is written last.
Readers trust only manifests, so what a killed stage leaves behind is never read and is cleared by
the next attempt.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from filelock import FileLock, Timeout

from pipelines import fingerprints
from pipelines.code_version import code_version
from pipelines.context import NightContext
from pipelines.errors import BusyError, DataError, MissingInputError, NightStoppedError
from pipelines.manifest import Manifest, Output
from pipelines.workspace import remove

_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Product:
    """What a stage made.

    Attributes:
        outputs: name to path relative to the stage's folder; their content is fingerprinted.
        counts: what the stage says of its work, plain data.
        stopped: why the night stops here; empty when it goes on.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""


class Stage(Protocol):
    """One step of a night."""

    @property
    def name(self) -> str:
        """Name of the folder, the command and the Airflow task."""
        ...

    @property
    def place(self) -> Literal["lake", "run"]:
        """Whether the output depends on the data alone, or on the run's settings too."""
        ...

    @property
    def sections(self) -> tuple[str, ...]:
        """Settings sections that the stage reads."""
        ...

    def inputs(self, context: NightContext) -> dict[str, str]:
        """Fingerprint of each input.

        Raises:
            MissingInputError: an input's stage has not been completed; names it.
        """
        ...

    def run(self, context: NightContext, out: Path) -> Product:
        """Do the work and write into ``out``, an empty folder.

        Raises:
            DataError: the data or the settings are wrong.
        """
        ...


@dataclass(frozen=True)
class Outcome:
    """How a stage ended.

    Attributes:
        manifest: of the stage's output.
        unchanged: nothing had to be done.
    """

    manifest: Manifest
    unchanged: bool


def folder_of(stage: Stage, context: NightContext) -> Path:
    """Where a stage's output lies."""
    if stage.place == "lake":
        return context.workspace.lake_stage(context.night, stage.name)
    return context.workspace.run_stage(context.run_key, stage.name)


def run_stage(stage: Stage, context: NightContext) -> Outcome:
    """Run a stage, or say that nothing changed.

    Raises:
        DataError: see ``Stage.run``.
        NightStoppedError: the stage is done, and its verdict is that the night stops.
        BusyError: another process works on the very same output.
    """
    folder = folder_of(stage, context)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Falls with the process that holds it: a task whose runner was killed may still be at work
    # when Airflow starts it again.
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        with lock.acquire(timeout=_LOCK_SECONDS):
            return _run_alone(stage, context)
    except Timeout as error:
        raise BusyError(
            f"night {context.night}: another process still works on stage {stage.name}; "
            "wait for it, or end it"
        ) from error


def _run_alone(stage: Stage, context: NightContext) -> Outcome:
    log = context.log(stage.name)
    folder = folder_of(stage, context)
    inputs = stage.inputs(context)
    settings = context.settings.fingerprint(*stage.sections)
    wanted = _wanted(inputs, settings)
    found = Manifest.read(folder)
    if found and found.fingerprint == wanted and not context.force:
        log.info("unchanged: skipped")
        _obey(found)
        return Outcome(found, unchanged=True)

    log.info("started")
    started = time.monotonic()
    staging = folder.with_name(f".{folder.name}.staging")
    remove(staging)
    staging.mkdir(parents=True)
    product = stage.run(context, staging)
    outputs = {
        name: Output(path, fingerprints.of_path(staging / path))
        for name, path in product.outputs.items()
    }
    _give_way(stage, folder, found, wanted)
    staging.rename(folder)
    manifest = Manifest(
        stage=stage.name,
        night=context.night,
        run_key=context.run_key if stage.place == "run" else "",
        fingerprint=wanted,
        inputs=inputs,
        settings_fingerprint=settings,
        code_version=code_version(),
        outputs=outputs,
        counts=product.counts,
        stopped=product.stopped,
        seconds=round(time.monotonic() - started, 2),
    )
    manifest.write(folder)
    log.info("done in %.1f s", manifest.seconds)
    _obey(manifest)
    return Outcome(manifest, unchanged=False)


def is_unchanged(stage: Stage, context: NightContext) -> bool:
    """Whether the stage's output is there and is of its inputs, settings and code as they are."""
    found = Manifest.read(folder_of(stage, context))
    if found is None:
        return False
    try:
        inputs = stage.inputs(context)
    except DataError:
        return False
    return found.fingerprint == _wanted(inputs, context.settings.fingerprint(*stage.sections))


def require(folder: Path, stage: str, night: str) -> Manifest:
    """The manifest of a completed stage.

    Raises:
        MissingInputError: the stage has not been completed.
        NightStoppedError: the stage stopped the night.
    """
    manifest = Manifest.read(folder)
    if manifest is None:
        raise MissingInputError(
            f"night {night}: stage {stage} has not been completed; run "
            f"'mrlm stage {stage} --night {night}' first"
        )
    _obey(manifest)
    return manifest


def _wanted(inputs: dict[str, str], settings: str) -> str:
    return fingerprints.combine({**inputs, "settings": settings, "code": code_version()})


def _obey(manifest: Manifest) -> None:
    if manifest.stopped:
        raise NightStoppedError(manifest.stopped)


def _give_way(stage: Stage, folder: Path, found: Manifest | None, wanted: str) -> None:
    """Make room for new output: what was judged is set aside, the rest is replaced."""
    if stage.place == "run" and found is not None and found.fingerprint != wanted:
        aside = folder.with_name(f"{folder.name}.superseded-{found.fingerprint[:8]}")
        remove(aside)
        folder.rename(aside)
        return
    if folder.exists():
        # Renamed first, so that a kill while deleting leaves no half of a trusted folder.
        doomed = folder.with_name(f".{folder.name}.removed-{os.getpid()}")
        remove(doomed)
        folder.rename(doomed)
        remove(doomed)
