"""Bound the disk: remove old nights, never what a champion or the ledger names."""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path

from pipelines.contract.deployment import place_of
from pipelines.contract.log import logger
from pipelines.contract.manifest import Manifest
from pipelines.contract.workspace import Workspace, is_night, nights_in, remove
from pipelines.failures.errors import DamagedError
from pipelines.nights.arrivals import INGEST, PRIVATE
from pipelines.running.open_night import closed_nights
from pipelines.settings.model import Settings
from pipelines.stages.publish import PRIVATE_LISTS
from pipelines.stages.tune_weights import ROWS

_SECONDS_A_DAY = 86400
# What a killed stage leaves: see pipelines/contract/stage.py.
_LEFTOVER = re.compile(r"\.\w+\.(staging|removed-\d+)")


def clean(settings: Settings, workspace: Workspace, keep: int) -> list[str]:
    """Remove runs older than the newest ``keep`` nights, leftovers, and expired raw ids.

    Of older runs that stay, the rows that their weights were chosen on are removed.

    Lake nights stay while a history or a plan can still reach them. Registered versions live in
    the registry and are never touched; runs that the ledger names stay too. What has another name
    than this program gives, or a manifest that cannot be read, stays, and the log says so.

    Returns:
        What was removed, as paths relative to the workspace.

    Raises:
        ValueError: ``keep`` is below 1.
    """
    if keep < 1:
        raise ValueError(f"--keep must be 1 or more, not {keep}")
    named = {e.run_key for e in place_of(settings, workspace).ledger.entries()}
    nights = workspace.nights()
    recent = set(nights[-keep:])
    split = settings.split
    tested = max(split.gate_nights, settings.gate.test_nights)
    learned = split.fit_nights + split.tune_nights + tested
    # A kept night can be run again: with what it learned from, and the histories of that.
    reach = keep + learned + settings.state.history_nights + 2 * settings.final_after + 1
    lake_recent = set(nights[-reach:])
    doomed: list[Path] = []
    for run in _known(workspace.runs):
        if run.name[:10] not in recent:
            doomed.append(run / "tune_weights" / ROWS if run.name in named else run)
        doomed += [p for p in _children(run) if ".superseded-" in p.name and run.name not in named]
    for night in _known(workspace.lake):
        if night.name not in lake_recent:
            doomed.append(night)
    at_work = {p.stem.removeprefix("night-") for p in workspace.locks.glob("night-*.json")}
    for folder in (workspace.runs, workspace.lake):
        for parent in _known(folder):
            if parent.name[:10] not in at_work:
                doomed += [p for p in _children(parent) if _LEFTOVER.fullmatch(p.name)]
    doomed += closed_nights(workspace)
    doomed += _expired(settings, workspace)
    removed = []
    for path in dict.fromkeys(doomed):
        if path.exists():
            remove(path)
            removed.append(str(path.relative_to(workspace.root)))
    return removed


def quarantine_folders(workspace: Workspace) -> list[Path]:
    """Folders of quarantined rows, oldest night first."""
    found = [workspace.lake_stage(n, INGEST) / "quarantine" for n in workspace.nights()]
    return [p for p in found if p.is_dir()]


def _private_folders(workspace: Workspace) -> list[Path]:
    """Folders with raw user ids, and all that was read of open nights."""
    whole = [workspace.lake_stage(n, INGEST) / p for n in workspace.nights() for p in PRIVATE]
    runs = [run / "publish" / PRIVATE_LISTS for run in _known(workspace.runs)]
    opened = [workspace.open_nights / n for n in nights_in(workspace.open_nights)]
    return [p for p in (*whole, *runs, *opened) if p.is_dir()]


def _expired(settings: Settings, workspace: Workspace) -> list[Path]:
    limit = time.time() - settings.ingestion.quarantine_days * _SECONDS_A_DAY
    expired = []
    for folder in _private_folders(workspace):
        files = [p for p in folder.rglob("*.parquet") if p.stat().st_mtime < limit]
        expired += files
    return expired


def _known(folder: Path) -> list[Path]:
    """Folders of nights or runs that are as this program makes them."""
    found = []
    for path in _children(folder):
        if not is_night(path.name[:10]):
            logger.warning("kept %s: its name is none that this program gives", path)
            continue
        try:
            for stage in _children(path):
                Manifest.read(stage)
        except DamagedError as error:
            logger.warning("kept %s: %s", path, error)
            continue
        found.append(path)
    return found


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [Path(e.path) for e in os.scandir(folder) if stat.S_ISDIR(e.stat().st_mode)]
