"""Forget a person: all nights, runs, versions and pages of a workspace, in an order that goes on.

First the person's hash goes on the list by which later nights drop them. Then, while no night is at
work, it is written down where they are found and what learned from them; runs, pages and versions
are changed, then what was built, then what was ingested, by which the others are found; then the
ledger says that it is done. Each step is one that can be done again and finds nothing to do: killed
anywhere, the same call ends in the same state.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mrlm.privacy.person import Person, pseudonym_of
from mrlm.privacy.person_files import changed_copy, holds_person
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.registry.place import RegistryPlace
from pipelines.care.forgetting.raw_places import RawPlaces
from pipelines.care.forgetting.served_log import erase_served
from pipelines.care.forgetting.stage_folder import Removal, erase_folder, list_requests, mend
from pipelines.care.forgetting.traces import (
    Traces,
    columns_of,
    runs_that_saw,
    traces_of,
    versions_that_saw,
)
from pipelines.contract.context import Progress
from pipelines.contract.deployment import place_of
from pipelines.contract.manifest import FILE_NAME
from pipelines.contract.sealed import read_sealed, write_sealed
from pipelines.contract.workspace import Workspace, is_night, nights_in, remove
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.forgotten_people import remember, salt_of
from pipelines.running.lease import holder_of_command, night_lease
from pipelines.settings.model import Settings
from pipelines.stages import DATA
from pipelines.stages.tune_weights import ROWS
from pipelines.stages.tune_weights import STAGE as TUNED_STAGE

# What a killed stage leaves, and what a killed call of this leaves beside a stage's folder.
_LEFTOVER = re.compile(r"\.(\w[\w.=-]*)\.(staging|removed-\d+|erasing|erased)")
# Databases, and what has a remedy of its own.
_APART = {".db", ".sqlite", ".lock"}
# Its entries are for good: nobody but their authors can have named the person there.
_LEDGER = "ledger.jsonl"
_COPY = ".erasing"


@dataclass
class Erasure:
    """What came of it.

    Attributes:
        hash: salted, of the pseudonym: what the list and the ledger hold.
        again: whether the ledger had it already.
        nights: event nights with decisions of the person.
        rows: taken out or emptied, by table.
        files: how many files changed.
        runs: run key to those of the nights that the run read.
        versions: version to those of the nights that it was learned from or judged on.
        left: what could not be changed, each with what to do.
    """

    hash: str
    again: bool = False
    nights: list[str] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    files: int = 0
    runs: dict[str, list[str]] = field(default_factory=dict)
    versions: dict[int, list[str]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def leave(self, why: str) -> None:
        """Add to ``left``; a folder that two steps come to is told once."""
        if why not in self.left:
            self.left.append(why)


def forget(
    settings: Settings,
    key: bytes,
    user_id: str,
    *,
    actor: str,
    at: str,
    reason: str,
    wait: float,
    progress: Progress,
) -> Erasure:
    """Take a person out of a workspace, and keep them out; the user's own raw files stay.

    Args:
        settings: of the workspace.
        key: of the pseudonyms.
        user_id: as the raw log writes it.
        actor: who asks for it; goes into the ledger.
        at: ISO time.
        reason: in words; goes into the ledger.
        wait: longest wait for a night that is at work, and for the registry, in seconds.
        progress: called while files are read.

    Returns:
        What was done; ``left`` says what was not.

    Raises:
        DataError: actor or reason names the person.
        BusyError: a night is at work.
        RegistryBusyError: somebody else holds the registry.
        DamagedError: the list of hashes is not as it was written.
    """
    workspace = Workspace(settings.workspace)
    place = place_of(settings, workspace)
    person = Person(user_id, pseudonym_of(key, user_id), salt_of(workspace))
    if any(person.stands_in_unread(text) for text in (actor, reason)):
        raise DataError(
            "--actor or --reason names the person, and both stay in the ledger for good: say it "
            "without the id"
        )
    remember(workspace, person.hash)
    found = Erasure(person.hash)
    while True:
        with _all_nights(workspace, wait) as nights:
            for folder in _stage_folders(workspace):
                mend(folder)
            traces = _traces(workspace, settings, person, progress)
            _write_down(workspace, place, traces, found)
            found.left = []
            _erase(workspace, settings, place, traces, found, actor, at, wait, progress)
            # A night that began meanwhile has read what was there before.
            done = _nights(workspace) == nights
        if done:
            break
    if not found.left:
        found.again = not _record(place, found.hash, actor, at, reason, wait)
    return found


def _traces(workspace: Workspace, settings: Settings, person: Person, progress: Progress) -> Traces:
    try:
        return traces_of(workspace, settings, person, progress)
    except ValueError as error:
        raise DamagedError(
            f"{error}. Nobody can tell whom it names: run the stage again that its folder is "
            "called after, for the night that it lies in, then repeat the command"
        ) from error


def _nights(workspace: Workspace) -> list[str]:
    """Those of the lake, and those that are open."""
    return sorted({*workspace.nights(), *nights_in(workspace.open_nights)})


@contextmanager
def _all_nights(workspace: Workspace, wait: float) -> Iterator[list[str]]:
    """Hold every night that there is."""
    nights = _nights(workspace)
    with ExitStack() as held:
        for night in nights:
            held.enter_context(night_lease(workspace, night, holder_of_command(), wait, keep=False))
        yield nights


def _write_down(workspace: Workspace, place: RegistryPlace, traces: Traces, found: Erasure) -> None:
    """Who learned from the person, before nobody can tell; what a killed call wrote is kept."""
    path = workspace.privacy / f"{found.hash[:16]}.json"
    try:
        before = read_sealed(path, dict, "Remove it, and the command writes what it can still tell")
    except FileNotFoundError:
        before = {"nights": [], "runs": {}, "versions": {}}
    nights = frozenset({*before["nights"], *traces.nights})
    runs = {**before["runs"], **runs_that_saw(workspace, nights)}
    versions = {int(v): n for v, n in before["versions"].items()}
    versions |= versions_that_saw(place, runs, nights)
    found.nights, found.runs, found.versions = sorted(nights), runs, versions
    written: dict[str, Any] = {"nights": sorted(nights), "runs": runs, "versions": versions}
    write_sealed(path, written)


def _erase(
    workspace: Workspace,
    settings: Settings,
    place: RegistryPlace,
    traces: Traces,
    found: Erasure,
    actor: str,
    at: str,
    wait: float,
    progress: Progress,
) -> None:
    """Change all that names the person."""
    from mrlm.promotion.moves.erase import erase_from_versions

    # One command makes it again, without the person.
    remove(workspace.open_nights)
    for run in found.runs:
        # Their rows name nobody, so nobody can tell which are the person's.
        for folder in _children(workspace.runs / run):
            if folder.name.partition(".")[0] == TUNED_STAGE.name:
                remove(folder / ROWS)
    names = columns_of(settings)
    for version in erase_from_versions(place, traces.person, actor=actor, at=at, seconds=wait):
        found.files += version.files
        found.left += [version.left] if version.left else []
    _erase_loose(workspace, RawPlaces(settings), _version_folders(place), traces.person, found)
    folders = sorted(_stage_folders(workspace), key=_lake_last)
    # The list of requests first: by it feedback is found once impressions and served rows are gone.
    listed = True
    for night, requests in traces.requests.items():
        folder = workspace.lake_stage(night, "ingest")
        if requests and (folder / FILE_NAME).exists():
            try:
                found.files += list_requests(folder, traces.person, requests)
            except DamagedError as error:
                found.leave(str(error))
                listed = False
    if listed:
        files, rows = erase_served(settings, workspace.root, traces.person, found.leave)
        found.files += files
        found.rows += Counter(served=rows)
    for i, folder in enumerate(folders):
        progress("folders searched", i, len(folders))
        _erase_one(folder, Removal(traces.person, names), found)
    progress("folders searched", len(folders), len(folders))


def _erase_one(folder: Path, change: Removal, found: Erasure) -> None:
    try:
        found.files += erase_folder(folder, change)
    except (DamagedError, ValueError) as error:
        found.leave(str(error))
    found.rows += change.removed


def _stage_folders(workspace: Workspace) -> list[Path]:
    """Folders of completed stages, also where a killed call has half of one."""
    found = set()
    for parent in [*_children(workspace.lake), *_children(workspace.runs)]:
        if not is_night(parent.name[:10]):
            continue
        for folder in _children(parent):
            left = _LEFTOVER.fullmatch(folder.name)
            if left is not None and left[2] in {"erasing", "erased"}:
                found.add(parent / left[1])
            elif left is None and (folder / FILE_NAME).exists():
                found.add(folder)
    return sorted(found)


def _lake_last(folder: Path) -> tuple[int, str]:
    """Runs, then what was built from the ingestion's tables, then these."""
    order = [*[n for n in reversed(DATA) if n != "ingest"], "ingest"]
    return (order.index(folder.name) + 1 if folder.name in order else 0, str(folder))


def _children(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def _version_folders(place: RegistryPlace) -> set[Path]:
    """Where the files of registered versions lie, if in the workspace."""
    if not place.exists or place.tracking_uri is not None:
        return set()
    from mrlm.promotion.registry.version_files import stored_folder
    from mrlm.promotion.registry.versions import all_versions

    return {stored_folder(place, version) for version in all_versions(place)}


def _erase_loose(
    workspace: Workspace,
    raw: RawPlaces,
    versions: set[Path],
    person: Person,
    found: Erasure,
) -> None:
    """Change files that are in no stage's folder, and remove what killed stages left."""
    stages = set(_stage_folders(workspace))
    for parent in [*_children(workspace.lake), *_children(workspace.runs)]:
        for folder in _children(parent):
            if _LEFTOVER.fullmatch(folder.name) and is_night(parent.name[:10]):
                remove(folder)
    for path in sorted(workspace.root.rglob("*")):
        if not path.is_file() or path.is_symlink() or path.is_relative_to(workspace.privacy):
            continue
        if (stages | versions).intersection(path.parents):
            continue
        if raw.hold(path) or path.name.startswith(_LEDGER):
            continue
        if path.name.startswith(".") and path.name.endswith(_COPY):
            path.unlink()
            continue
        if path.suffix in _APART:
            if person.pseudonym.encode() in path.read_bytes():
                found.leave(f"{path} names the person: take it out of that database by hand")
        else:
            _replace(path, person, found)


def _replace(path: Path, person: Person, found: Erasure) -> None:
    copy = path.with_name(f".{path.name}{_COPY}")
    try:
        if not holds_person(path, person):
            return
        changed_copy(path, copy, person)
        copy.chmod(path.stat().st_mode & 0o777)
        copy.replace(path)
        found.files += 1
    except ValueError as error:
        found.leave(str(error))
    finally:
        copy.unlink(missing_ok=True)


def _record(
    place: RegistryPlace, digest: str, actor: str, at: str, reason: str, seconds: float
) -> bool:
    """Write the entry, unless it is there or there is no registry yet; whether it was written."""
    if not place.exists or place.registered_model() is None:
        return True
    with place.locked(actor, seconds):
        known = place.ledger.confirmed()
        if any(e.kind == "forgotten" and e.content == digest for e in known):
            return False
        place.ledger.append(Entry("forgotten", "", None, actor, at, reason, content=digest))
    return True
