"""Output that another run of the same night made out of the very same inputs, settings and code."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from pipelines.contract.context import NightContext
from pipelines.contract.manifest import FILE_NAME, Manifest
from pipelines.contract.outputs import damage
from pipelines.failures.errors import DamagedError
from pipelines.stages import LEARNED


def copied_from_another_run(
    stage: str, context: NightContext, wanted: str, target: Path
) -> Manifest | None:
    """Copy a stage's files out of a run under other settings; None where no run has them.

    A run key is of all settings, and a stage reads some of them: weights that a person types change
    the key, and nothing of what is learned.

    Args:
        stage: its name; only what names no run can be another's.
        context: of the run that needs it.
        wanted: fingerprint of what the stage would make.
        target: a folder that is not there yet.

    Returns:
        The manifest for the copy, still to be written.
    """
    if stage not in LEARNED or not context.workspace.runs.is_dir():
        return None
    for run in sorted(context.workspace.runs.glob(f"{context.night}-*")):
        folder = context.workspace.run_stage(run.name, stage)
        found = _whole(folder, wanted)
        if found is not None and run.name != context.run_key:
            shutil.copytree(folder, target, ignore=shutil.ignore_patterns(FILE_NAME))
            context.log(stage).info("unchanged: taken from run %s", run.name)
            return replace(found, run_key=context.run_key)
    return None


def _whole(folder: Path, wanted: str) -> Manifest | None:
    try:
        found = Manifest.read(folder)
        if found is None or found.fingerprint != wanted or damage(folder, found):
            return None
    except DamagedError:
        return None
    return found
