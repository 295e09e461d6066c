"""Take a person out of the files of registered versions, which stay what was registered else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mrlm.evidence.canonical import canonical_json
from mrlm.privacy.person import Person
from mrlm.privacy.person_files import changed_copy, holds_person
from mrlm.promotion.moves.hashed import newest_hashes, record_hashes
from mrlm.promotion.registry.integrity import CONTENT, content_hash
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import damage_of, stored_folder
from mrlm.promotion.registry.versions import RegisteredVersion, all_versions, annotate_version
from mrlm.promotion.reproduction.reproduction import erased_rows

# Of folders that hold copies until they take the place of files.
_SCRATCH = ".erasing-"


@dataclass(frozen=True)
class Erased:
    """What became of one version.

    Attributes:
        version: its number.
        files: how many of its files held the person and do no longer.
        left: why something was left as it is, and what to do; "" when nothing was.
    """

    version: int
    files: int
    left: str = ""


def erase_from_versions(
    place: RegistryPlace, person: Person, *, actor: str, at: str, seconds: float = 600.0
) -> Iterator[Erased]:
    """Rewrite the files of versions that hold a person; the registry gets their new hashes.

    A version's new hashes are written before its files are replaced, each in one piece: killed
    anywhere, the same call goes on. Where the ledger has an entry with the hash of the files, a new
    entry follows it.

    Args:
        place: the registry.
        person: who is taken out.
        actor: who asks for it.
        at: ISO time.
        seconds: longest wait for the lock.

    Yields:
        One for each version that held the person.

    Raises:
        RegistryBusyError: somebody else holds the lock.
        LedgerError: the ledger is not what commands wrote.
    """
    if not place.exists:
        return
    with place.locked(actor, seconds):
        for left in place.folder.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left)
        for version in all_versions(place):
            found = _erase(place, version, person, actor, at)
            if found is not None:
                yield found


def _erase(
    place: RegistryPlace, version: RegisteredVersion, person: Person, actor: str, at: str
) -> Erased | None:
    folder = stored_folder(place, version)
    if not folder.is_dir():
        return None
    held = [p for p in sorted(folder.rglob("*")) if p.is_file() and holds_person(p, person)]
    if not held:
        return None
    number = version.version
    if place.tracking_uri is not None:
        return Erased(
            number,
            0,
            f"version {number} is kept by {place.tracking_uri}, and its "
            f"{held[0].relative_to(folder)} holds rows of the person: delete the version there, "
            "or have whoever runs the server take the rows out",
        )
    tag = version.tags.get(CONTENT)
    if tag is None:
        return Erased(
            number,
            0,
            f"version {number} has no hashes of its files, and holds rows of the person: run "
            "'mrlm upgrade --actor YOU' first",
        )
    with tempfile.TemporaryDirectory(dir=place.folder, prefix=_SCRATCH) as scratch:
        copies = {}
        for i, path in enumerate(held):
            copies[path] = Path(scratch, f"{i}{path.suffix}")
            metadata = erased_rows(path) if path.name == "reproduction.parquet" else None
            changed_copy(path, copies[path], person, metadata=metadata)
        content = _with_hashes(tag, folder, copies)
        # A call that was killed has written the hashes of files that it did not replace yet.
        if content != tag and damage_of(place, version):
            wrong = f"version {number} is damaged: 'mrlm verify' says how to mend it"
            return Erased(number, 0, wrong)
        _record(place, version, content, actor, at)
        annotate_version(place, number, tags={CONTENT.removeprefix("mrlm."): content})
        for path, copy in copies.items():
            copy.chmod(path.stat().st_mode & 0o777)
            with copy.open("rb") as stream:
                os.fsync(stream.fileno())
            copy.replace(path)
    return Erased(number, len(held))


def _with_hashes(tag: str, folder: Path, copies: dict[Path, Path]) -> str:
    hashes: dict[str, str] = json.loads(tag)
    for path, copy in copies.items():
        with copy.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        hashes[path.relative_to(folder).as_posix()] = digest
    return canonical_json(hashes)


def _record(
    place: RegistryPlace, version: RegisteredVersion, content: str, actor: str, at: str
) -> None:
    digest = content_hash(content)
    before = newest_hashes(place, version.version)
    if before is None or before.content == digest:
        return
    reason = "a person was forgotten: their rows were taken out of its files"
    record_hashes(place, version, digest, actor=actor, at=at, reason=reason)
