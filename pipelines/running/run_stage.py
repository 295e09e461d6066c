"""Running one stage so that it may be killed at any point.

A stage writes into a staging folder, the folder is renamed, and the manifest is written last.
Readers trust only manifests, so what a killed stage leaves behind is never read and is cleared by
the next attempt.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipelines.contract import checksums, fingerprints
from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.manifest import FILE_NAME, Manifest, Output
from pipelines.contract.outputs import damage, obey
from pipelines.contract.stage import Stage
from pipelines.contract.workspace import remove
from pipelines.failures.errors import (
    BusyError,
    DamagedError,
    DataError,
)
from pipelines.failures.faults import explained
from pipelines.running.other_runs import copied_from_another_run

_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Outcome:
    """How a stage ended.

    Attributes:
        manifest: of the stage's output.
        unchanged: nothing had to be done.
    """

    manifest: Manifest
    unchanged: bool


def run_stage(stage: Stage[Any], context: NightContext) -> Outcome:
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
        fault = explained(error, context.registry)
        if fault is None:
            raise
        raise type(fault)(f"night {context.night}, stage {stage.name}: {fault}") from error


def _run_locked(stage: Stage[Any], context: NightContext) -> Outcome:
    folder = context.of(stage.name, stage.place).folder
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
    """Held by whoever changes a stage's folder.

    It falls with the process that holds it: a task whose runner was killed may still be at work
    when Airflow starts it again.
    """
    return FileLock(folder.with_name(f".{folder.name}.lock"))


def _run_alone(stage: Stage[Any], context: NightContext) -> Outcome:
    log = context.log(stage.name)
    folder = context.of(stage.name, stage.place).folder
    plan = stage.plan(context)
    inputs = stage.inputs(context, plan)
    settings = context.settings.fingerprint(*stage.sections)
    wanted = fingerprint_of(stage, inputs, settings)
    found = _whole(folder, wanted, log)
    if found and found.fingerprint == wanted and not context.force:
        log.info("unchanged: skipped")
        obey(found)
        return Outcome(found, unchanged=True)

    staging = folder.with_name(f".{folder.name}.staging")
    remove(staging)
    if not context.force and (
        taken := copied_from_another_run(stage.name, context, wanted, staging)
    ):
        _give_way(stage, folder, found, wanted)
        staging.rename(folder)
        taken.write(folder)
        return Outcome(taken, unchanged=True)

    log.info("started")
    started = time.monotonic()
    staging.mkdir(parents=True)
    try:
        product = stage.run(context, plan, staging)
        prints = fingerprints.of_paths([staging / path for path in product.outputs.values()])
        outputs = {
            name: Output(path, content)
            for (name, path), content in zip(product.outputs.items(), prints, strict=True)
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
    obey(manifest)
    return Outcome(manifest, unchanged=False)


def is_unchanged(stage: Stage[Any], context: NightContext) -> bool:
    """Whether the stage's output is whole, and is of its inputs, settings and code as they are."""
    folder = context.of(stage.name, stage.place).folder
    try:
        found = Manifest.read(folder)
        if found is None:
            return False
        inputs = stage.inputs(context, stage.plan(context))
    except DataError:
        return False
    wanted = fingerprint_of(stage, inputs, context.settings.fingerprint(*stage.sections))
    return found.fingerprint == wanted and not damage(folder, found)


def _whole(
    folder: Path, wanted: str, log: logging.LoggerAdapter[logging.Logger]
) -> Manifest | None:
    """The manifest of a stage's folder, unless it or a file of what is wanted is damaged."""
    try:
        found = Manifest.read(folder)
        wrong = damage(folder, found) if found and found.fingerprint == wanted else ""
    except DamagedError as error:
        found, wrong = None, str(error)
    if not wrong:
        return found
    log.warning("%s: made again", wrong)
    return None


def fingerprint_of(
    stage: Stage[Any], inputs: dict[str, str], settings: str, code: str | None = None
) -> str:
    """Fingerprint of what an output is made from.

    Args:
        stage: that makes it.
        inputs: name to fingerprint.
        settings: fingerprint of the sections that the stage reads.
        code: version of the code that makes it; None: the code of now.
    """
    code = code_version(type(stage).__module__) if code is None else code
    return fingerprints.of_json({**inputs, "settings": settings, "code": code})


def _give_way(stage: Stage[Any], folder: Path, found: Manifest | None, wanted: str) -> None:
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
