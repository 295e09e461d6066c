"""What this machine has, and what to do about what it lacks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipelines.care.behaviour_advice import advice
from pipelines.contract.context import contexts_of
from pipelines.contract.manifest import FILE_NAME
from pipelines.contract.sealed import read_sealed
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DamagedError, DataError
from pipelines.settings.model import Settings

_MEMORY_GIB = 6.0
_DISK_GIB = 5.0
_GIB = 1024.0**3


@dataclass(frozen=True)
class Finding:
    """One line of the doctor.

    Attributes:
        what: the thing looked at.
        well: whether it will do.
        text: what was found and, where it will not do, what to do.
        advice: it will do, and a person may want it otherwise.
    """

    what: str
    well: bool
    text: str
    advice: bool = False


def examine(settings: Settings | None) -> Iterator[Finding]:
    """Look at Python, Java, memory, disk, homes, secrets, the models and the gate."""
    yield _python()
    yield _java(settings)
    memory = psutil.virtual_memory().total / _GIB
    yield Finding(
        "memory",
        memory >= _MEMORY_GIB,
        f"{memory:.1f} GiB" + _unless(memory >= _MEMORY_GIB, "; lower spark.driver_memory"),
    )
    place = settings.workspace if settings else Path.cwd()
    free = shutil.disk_usage(_existing(place)).free / _GIB
    yield Finding(
        "disk",
        free >= _DISK_GIB,
        f"{free:.1f} GiB free at {place}" + _unless(free >= _DISK_GIB, "; try 'mrlm clean'"),
    )
    if settings is None:
        yield Finding("settings", False, "none found: see README, 'Bring your own logs'")
        return
    yield _writable(settings.workspace)
    yield _files(settings)
    yield _key(settings)
    yield _model(settings)
    yield Finding("behaviour", *advice(settings))
    yield from _gate(settings)


def _python() -> Finding:
    well = (3, 11) <= sys.version_info[:2] <= (3, 13)
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", well, version + _unless(well, "; use Python 3.11 to 3.13"))


def _java(settings: Settings | None) -> Finding:
    from spark_jobs.runtime.java import java_home

    try:
        home = java_home(settings.spark.java if settings else "auto")
    except (OSError, RuntimeError) as error:
        return Finding("java", False, f"{error}")
    return Finding("java", True, str(home))


def _writable(workspace: Path) -> Finding:
    well = os.access(_existing(workspace), os.W_OK)
    text = f"workspace {workspace}"
    return Finding("home", well, text + _unless(well, " cannot be written: change 'workspace'"))


def _files(settings: Settings) -> Finding:
    """Whether the workspace's small files can be read, and the outputs are as they were written."""
    from pipelines.contract.outputs import damage_of

    def read(path: Path) -> str:
        if path.name == FILE_NAME:
            return damage_of(path.parent)
        return read_sealed(path, lambda data: "", "Nobody reads it before it is mended or removed")

    workspace, wrong = Workspace(settings.workspace), []
    stages = [p for top in (workspace.lake, workspace.runs) for p in top.glob(f"*/*/{FILE_NAME}")]
    small = [*workspace.runs.glob("*/*.json"), *workspace.locks.glob("night-*.json")]
    for path in sorted([*stages, *small]):
        try:
            found = read(path)
        except FileNotFoundError:
            # Somebody is at work.
            continue
        except (DataError, OSError) as error:
            found = str(error)
        if found:
            wrong.append(found)
    whole = f"{len(stages)} stages' outputs are as they were written"
    return Finding("files", not wrong, "; ".join(wrong) or whole)


def _key(settings: Settings) -> Finding:
    from spark_jobs.contract.errors import InputError
    from spark_jobs.tables.pseudonyms import LEAST_KEY, user_key

    name = settings.ingestion.user_key_variable
    try:
        key = user_key(name, _keys_of_nights(settings))
    except InputError as error:
        return Finding("user key", False, str(error))
    short = f", with fewer than {LEAST_KEY} bytes: it can be guessed"
    return Finding("user key", True, f"{name} is set{short if len(key) < LEAST_KEY else ''}")


def _keys_of_nights(settings: Settings) -> list[str]:
    found = []
    for context in contexts_of(settings):
        try:
            manifest = context.lake("ingest").manifest()
        except DamagedError:
            continue
        found += [manifest.counts["key_id"]] if manifest else []
    return found


def _model(settings: Settings) -> Finding:
    from mrlm.embeddings.factory import make_encoder

    try:
        encoder = make_encoder(settings.embedding)
    except (OSError, ValueError, ImportError) as error:
        return Finding("model", False, str(error))
    return Finding("model", True, f"{settings.embedding.encoder}, {encoder.dimensions} dimensions")


def _gate(settings: Settings) -> Iterator[Finding]:
    """Whether challengers can be judged on what the champion logs; nothing before there is one."""
    from pipelines.care.gate_standing import advice_lines, trial_lines

    for context in contexts_of(settings, 1):
        for line in [*advice_lines(context), *trial_lines(context)]:
            yield Finding("gate", True, line, advice=True)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _unless(well: bool, text: str) -> str:
    return "" if well else text
