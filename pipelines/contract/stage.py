"""The contract of a stage, and how one is run so that it may be killed at any point.

A stage writes into a staging folder, the folder is renamed, and the manifest is written last.
Readers trust only manifests, so what a killed stage leaves behind is never read and is cleared by
the next attempt. Whoever reads a stage's files takes their path from ``read_output``, which checks
that their bytes are those that the stage wrote.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from filelock import FileLock, Timeout

from pipelines.contract import checksums, fingerprints
from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.manifest import FILE_NAME, Manifest, Output
from pipelines.contract.registry import place_of
from pipelines.contract.workspace import remove
from pipelines.failures.errors import (
    BusyError,
    DamagedError,
    DataError,
    MissingInputError,
    NightStoppedError,
)
from pipelines.failures.faults import explained

_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Product:
    """What a stage made.

    Attributes:
        outputs: name to path relative to the stage's folder; their content is fingerprinted.
        counts: what the stage says of its work, plain data.
        stopped: why the night stops here; empty when it goes on.
        expiring: folders whose files may be removed in time; no stage reads them.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""
    expiring: tuple[str, ...] = ()


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

    @property
    def form(self) -> int:
        """Number of the output's form, from 1.

        To be raised when other files, columns or fields are written, when they mean another thing,
        or when the names of the inputs change: older outputs are then not kept by an upgrade.
        """
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
        DamagedError: a file that the stage reads is not as it was written; names it.
        BusyError: another process works on the very same output, or space or memory is short.
    """
    try:
        return _run_locked(stage, context)
    except Exception as error:
        registry = place_of(context.settings, context.workspace)
        fault = explained(error, registry)
        if fault is None:
            raise
        raise type(fault)(f"night {context.night}, stage {stage.name}: {fault}") from error


def _run_locked(stage: Stage, context: NightContext) -> Outcome:
    folder = folder_of(stage, context)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with output_lock(folder).acquire(timeout=_LOCK_SECONDS):
            return _run_alone(stage, context)
    except Timeout as error:
        raise BusyError(
            f"night {context.night}: another process still works on stage {stage.name}; "
            "wait for it, or end it"
        ) from error


def output_lock(folder: Path) -> FileLock:
    """Held by whoever changes a stage's folder; its own folder has to be there.

    It falls with the process that holds it: a task whose runner was killed may still be at work
    when Airflow starts it again.
    """
    return FileLock(folder.with_name(f".{folder.name}.lock"))


def _run_alone(stage: Stage, context: NightContext) -> Outcome:
    log = context.log(stage.name)
    folder = folder_of(stage, context)
    inputs = stage.inputs(context)
    settings = context.settings.fingerprint(*stage.sections)
    wanted = fingerprint_of(stage, inputs, settings)
    found = _whole(folder, wanted, log)
    if found and found.fingerprint == wanted and not context.force:
        log.info("unchanged: skipped")
        _obey(found)
        return Outcome(found, unchanged=True)

    log.info("started")
    started = time.monotonic()
    staging = folder.with_name(f".{folder.name}.staging")
    remove(staging)
    staging.mkdir(parents=True)
    try:
        product = stage.run(context, staging)
        outputs = {
            name: Output(path, fingerprints.of_path(staging / path))
            for name, path in product.outputs.items()
        }
        files = checksums.of_files(staging, product.expiring)
    except Exception:
        # What is left of it may be what fills the disk.
        with suppress(OSError):
            remove(staging)
        raise
    _give_way(stage, folder, found, wanted)
    staging.rename(folder)
    manifest = Manifest(
        stage=stage.name,
        night=context.night,
        run_key=context.run_key if stage.place == "run" else "",
        fingerprint=wanted,
        inputs=inputs,
        settings_fingerprint=settings,
        code_version=code_version(type(stage).__module__),
        outputs=outputs,
        counts=product.counts,
        stopped=product.stopped,
        seconds=round(time.monotonic() - started, 2),
        files=files,
        form=stage.form,
    )
    manifest.write(folder)
    log.info("done in %.1f s", manifest.seconds)
    _obey(manifest)
    return Outcome(manifest, unchanged=False)


def is_unchanged(stage: Stage, context: NightContext) -> bool:
    """Whether the stage's output is whole, and is of its inputs, settings and code as they are."""
    folder = folder_of(stage, context)
    try:
        found = Manifest.read(folder)
        if found is None:
            return False
        inputs = stage.inputs(context)
    except DataError:
        return False
    wanted = fingerprint_of(stage, inputs, context.settings.fingerprint(*stage.sections))
    return found.fingerprint == wanted and not _damage(folder, found)


def require(folder: Path, stage: str, night: str) -> Manifest:
    """The manifest of a completed stage.

    Raises:
        MissingInputError: the stage has not been completed.
        DamagedError: the manifest is not as it was written.
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


def read_output(folder: Path, place: str) -> Path:
    """Path of a file or a folder of a completed stage, its bytes checked against the manifest.

    Where a version without checksums wrote the manifest, outputs are checked by their content.

    Args:
        folder: of the stage.
        place: relative to it.

    Raises:
        MissingInputError: the stage has not been completed.
        DamagedError: a file is missing, was changed or cut short; names it and how to mend it.
        BusyError: the stage is being run again.
    """
    manifest = Manifest.read(folder)
    if manifest is None:
        raise MissingInputError(f"{folder} holds no output of a completed stage")
    wrong = _damage(folder, manifest, place)
    if not wrong:
        return folder / place
    if Manifest.read(folder) != manifest:
        raise BusyError(f"{folder} is being made again; wait for it")
    command = f"'mrlm stage {manifest.stage} --night {manifest.night}'"
    of, under = "", ""
    if manifest.run_key:
        of, under = f", run {manifest.run_key}", " under that run's settings"
    raise DamagedError(
        f"{wrong}. It is of stage {manifest.stage} of night {manifest.night}{of}: run {command}"
        f"{under}, which makes it anew"
    )


def damage_of(folder: Path) -> str:
    """What is wrong with a completed stage's files, naming the first; empty when nothing is.

    Raises:
        DamagedError: the manifest itself is not as it was written.
    """
    manifest = Manifest.read(folder)
    return _damage(folder, manifest) if manifest else ""


def _whole(
    folder: Path, wanted: str, log: logging.LoggerAdapter[logging.Logger]
) -> Manifest | None:
    """The manifest of a stage's folder, unless it or a file of what is wanted is damaged."""
    try:
        found = Manifest.read(folder)
        wrong = _damage(folder, found) if found and found.fingerprint == wanted else ""
    except DamagedError as error:
        found, wrong = None, str(error)
    if not wrong:
        return found
    log.warning("%s: made again", wrong)
    return None


def _damage(folder: Path, manifest: Manifest, place: str = "") -> str:
    if manifest.files is not None:
        return checksums.damage(folder, manifest.files, place)
    outputs = {o.path: o.fingerprint for o in manifest.outputs.values()}
    return fingerprints.damage(folder, outputs, place)


def fingerprint_of(
    stage: Stage, inputs: dict[str, str], settings: str, code: str | None = None
) -> str:
    """Fingerprint of what an output is made from.

    Args:
        stage: that makes it.
        inputs: name to fingerprint.
        settings: fingerprint of the sections that the stage reads.
        code: version of the code that makes it; None: the code of now.
    """
    code = code_version(type(stage).__module__) if code is None else code
    return fingerprints.combine({**inputs, "settings": settings, "code": code})


def _obey(manifest: Manifest) -> None:
    if manifest.stopped:
        raise NightStoppedError(manifest.stopped)


def _give_way(stage: Stage, folder: Path, found: Manifest | None, wanted: str) -> None:
    """Make room for new output: what may have been judged is set aside, the rest is replaced."""
    damaged = found is None and (folder / FILE_NAME).exists()
    if stage.place == "run" and (damaged or (found and found.fingerprint != wanted)):
        name = found.fingerprint[:8] if found else "damaged"
        aside = folder.with_name(f"{folder.name}.superseded-{name}")
        remove(aside)
        folder.rename(aside)
        return
    if folder.exists():
        # Renamed first, so that a kill while deleting leaves no half of a trusted folder.
        doomed = folder.with_name(f".{folder.name}.removed-{os.getpid()}")
        remove(doomed)
        folder.rename(doomed)
        remove(doomed)
