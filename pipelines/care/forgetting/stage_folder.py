"""A completed stage's folder without a person, changed in one step."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import Timeout

from mrlm.privacy.person import Person, salted
from mrlm.privacy.person_files import Names, changed_copy, holds_person
from mrlm.privacy.person_rows import FORGOTTEN
from mrlm.privacy.person_texts import data_without
from mrlm.promotion.reproduction.reproduction import erased_rows
from pipelines.care.forgetting.traces import REQUESTS
from pipelines.contract import checksums, fingerprints
from pipelines.contract.manifest import FILE_NAME, Manifest
from pipelines.contract.outputs import damage
from pipelines.contract.workspace import remove
from pipelines.failures.errors import BusyError, DamagedError
from pipelines.nights.arrivals import PRIVATE
from pipelines.running.run_stage import output_lock

_LOCK_SECONDS = 5.0
_REQUESTS_SCHEMA = pa.schema([pa.field("request", pa.string())])


@dataclass
class Removal:
    """What is changed in a folder.

    Attributes:
        person: who is taken out.
        columns: names in the raw files, for quarantined rows.
        removed: rows of theirs, by the table's folder.
    """

    person: Person
    columns: Names
    removed: Counter[str] = field(default_factory=Counter)


def mend(folder: Path) -> None:
    """Finish what a killed call left beside a stage's folder: the new one takes its place, or goes.

    The new folder is complete once it has a manifest, which is written last; the old one is away
    only after that.
    """
    new, old = _new(folder), _old(folder)
    if new.exists() and not folder.exists() and (new / FILE_NAME).exists():
        new.rename(folder)
    remove(new)
    remove(old)


def erase_folder(folder: Path, change: Removal) -> int:
    """Take the person out of a completed stage's files; how many files changed.

    All files that stay are linked into a new folder, the others are written anew, the manifest last
    with the checksums of now; then the new folder takes the place of the old one. The fingerprints
    by which later stages know the outputs stay, and those of now stand beside them.

    Raises:
        DamagedError: the folder's files are not as they were written; nothing is changed.
        ValueError: a file that names the person is neither Parquet nor text.
        BusyError: a stage is at work on it.
    """
    with _alone(folder):
        files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p != folder / FILE_NAME]
        held = {p for p in files if holds_person(p, change.person, change.columns)}
        manifest = _manifest(folder)
        counts = data_without(manifest.counts, change.person)
        if not held and counts == manifest.counts:
            return 0
        return _swap(folder, replace(manifest, counts=counts), held, change)


def list_requests(folder: Path, person: Person, requests: frozenset[str]) -> int:
    """Write down, as hashes, requests that arrived on an ingested night; how many files changed.

    By the list their feedback is known once their impressions are gone.

    Raises:
        DamagedError, BusyError: see ``erase_folder``.
    """
    with _alone(folder):
        there: set[str] = set()
        for path in sorted((folder / REQUESTS).glob("*.parquet")):
            there |= set(pq.read_table(path)["request"].to_pylist())
        missing = sorted({salted(person.salt, r) for r in requests} - there)
        if not missing:
            return 0
        return _swap(folder, _manifest(folder), set(), Removal(person, {}), missing)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        with output_lock(folder).acquire(timeout=_LOCK_SECONDS):
            mend(folder)
            yield
    except Timeout as error:
        raise BusyError(
            f"another process still works on {folder}; wait for it and repeat the command"
        ) from error


def _manifest(folder: Path) -> Manifest:
    manifest = Manifest.read(folder)
    if manifest is None:
        raise DamagedError(f"{folder} has no manifest: run its stage again, then repeat")
    return manifest


def _swap(
    folder: Path,
    manifest: Manifest,
    held: set[Path],
    change: Removal,
    requests: list[str] | None = None,
) -> int:
    """Make the new folder and put it in the place of the old one; how many files differ."""
    wrong = damage(folder, manifest)
    if wrong:
        raise DamagedError(
            f"{wrong}. It holds rows of the person: run 'mrlm stage {manifest.stage} --night "
            f"{manifest.night}', which makes it anew without them, then repeat the command"
        )
    new, old = _new(folder), _old(folder)
    _copy(folder, new, held, change)
    changed = {p.relative_to(folder).as_posix() for p in held}
    if requests:
        changed.add(_write_requests(new, requests))
    counts = _recounted(manifest.counts, change.removed)
    path = new / "counts.json"
    if path.exists() and counts != manifest.counts:
        changed.add(path.name)
        told = _recounted(json.loads(path.read_bytes()), change.removed)
        # The file is linked to the old one.
        path.unlink()
        path.write_text(json.dumps(told, sort_keys=True, indent=1))
    _restamped(new, manifest, changed, counts).write(new)
    folder.rename(old)
    new.rename(folder)
    remove(old)
    return len(changed)


def _copy(folder: Path, new: Path, held: set[Path], change: Removal) -> None:
    new.mkdir()
    shutil.copymode(folder, new)
    for path in sorted(folder.rglob("*")):
        place = new / path.relative_to(folder)
        if path.is_dir():
            place.mkdir()
            shutil.copymode(path, place)
        elif path in held:
            metadata = erased_rows(path) if path.name == "reproduction.parquet" else None
            removed = changed_copy(path, place, change.person, change.columns, metadata)
            _count(change, path.relative_to(folder), removed, path, place)
            shutil.copymode(path, place)
        elif path != folder / FILE_NAME and _sum_of(path) not in held:
            os.link(path, place)


def _sum_of(path: Path) -> Path | None:
    """The file that Hadoop keeps this checksum of beside it; it refuses a file that differs."""
    if not (path.name.startswith(".") and path.suffix == ".crc"):
        return None
    return path.with_name(path.stem.removeprefix("."))


def _count(change: Removal, place: Path, removed: int, before: Path, after: Path) -> None:
    if place.parts[0] == "quarantine":
        for key, number in (_reasons(before) - _reasons(after)).items():
            change.removed[f"quarantine/{key}"] += number
    else:
        change.removed[place.parent.as_posix()] += removed


def _reasons(path: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for batch in pq.ParquetFile(path).iter_batches(columns=["table", "reason"]):
        found.update(f"{r['table']}/{r['reason']}" for r in batch.to_pylist())
    return found


def _recounted(counts: dict[str, Any], removed: Counter[str]) -> dict[str, Any]:
    """Counts of an ingestion by which the rows taken out are quarantined as ``forgotten``."""
    found = json.loads(json.dumps(counts))
    if removed["impressions"] and "users" in found:
        found["users"] -= 1
    for place, number in removed.items():
        kind, _, rest = place.rpartition("/")
        table, reason = (
            (kind.partition("/")[2], rest)
            if kind.startswith("quarantine")
            else (
                rest,
                "late" if kind == "late" else "clean",
            )
        )
        own = found.get(table)
        if not number or not isinstance(own, dict) or "quarantined" not in own:
            continue
        within = own["quarantined"] if kind.startswith("quarantine") else own
        within[reason] -= number
        if not within[reason] and within is own["quarantined"]:
            del within[reason]
        own["quarantined"][FORGOTTEN] = own["quarantined"].get(FORGOTTEN, 0) + number
    return found  # type: ignore[no-any-return]


def _restamped(
    new: Path, manifest: Manifest, changed: set[str], counts: dict[str, Any]
) -> Manifest:
    stated = manifest.files
    if stated is None:
        files = checksums.of_files(new, PRIVATE)
    else:
        own = {
            n for n in changed if n in stated or n.partition("/")[0] in {REQUESTS, "counts.json"}
        }
        files = {n: f for n, f in stated.items() if n in own or (new / n).exists()}
        files |= {n: checksums.of_file(new / n) for n in own}
    erased = {
        name: fingerprints.of_path(new / output.path)
        for name, output in manifest.outputs.items()
        if any(n == output.path or n.startswith(f"{output.path}/") for n in changed)
    }
    return replace(manifest, files=files, counts=counts, erased={**manifest.erased, **erased})


def _write_requests(new: Path, hashes: list[str]) -> str:
    """Name of a new file of the list, by its content."""
    name = f"{REQUESTS}/part-{fingerprints.of_json(hashes)[:16]}.parquet"
    (new / REQUESTS).mkdir(exist_ok=True)
    pq.write_table(pa.table({"request": hashes}, schema=_REQUESTS_SCHEMA), new / name)
    return name


def _new(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.erasing")


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.erased")
