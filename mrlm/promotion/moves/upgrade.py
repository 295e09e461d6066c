"""Give versions that were registered before hashes of their files were kept theirs, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mrlm.promotion.moves.hashed import newest_hashes, record_hashes
from mrlm.promotion.registry.integrity import CONTENT, VersionError, content_hash, content_of
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import version_evidence, version_folder
from mrlm.promotion.registry.versions import RegisteredVersion, all_versions, annotate_version
from mrlm.promotion.reproduction.fresh_process import reproduce_files
from mrlm.promotion.settings import GateSettings


@dataclass(frozen=True)
class Upgraded:
    """What became of one version.

    Attributes:
        version: its number.
        hashed: whether it has hashes now.
        found: in words.
    """

    version: int
    hashed: bool
    found: str


def upgrade(
    place: RegistryPlace, settings: GateSettings, *, actor: str, at: str
) -> Iterator[Upgraded]:
    """Reproduce every version without hashes in a fresh process, then keep its hashes.

    A version that does not reproduce is told and left as it is. The lock is held for one version
    at a time. Killed anywhere, call it again: a version's entry in the ledger comes before its
    hashes in the registry, and is written once.

    Args:
        place: the registry.
        settings: tolerance and time limit of the reproduction, and how long to wait for the lock.
        actor: who vouches that the files are those of before; goes into the ledger.
        at: ISO time.

    Yields:
        One for each version that had no hashes, oldest first, when it is done.

    Raises:
        RegistryBusyError: somebody else holds the lock.
        LedgerError: the ledger's chain is broken.
        TimeoutError, ChildProcessError: a fresh process did not end; try again.
    """
    for number in [v.version for v in all_versions(place) if CONTENT not in v.tags]:
        with place.locked(actor, settings.lock_seconds):
            # Another call may have done it, or somebody deleted it, since.
            version = next((v for v in all_versions(place) if v.version == number), None)
            if version is None or CONTENT in version.tags:
                continue
            done = _upgrade(place, version, settings, actor, at)
        yield done


def _upgrade(
    place: RegistryPlace, version: RegisteredVersion, settings: GateSettings, actor: str, at: str
) -> Upgraded:
    number = version.version
    try:
        folder = version_folder(place, number)
        content = content_of(folder)
        found = reproduce_files(folder, content, version_evidence(folder), settings)
    except VersionError as error:
        return Upgraded(number, False, str(error))
    digest = content_hash(content)
    before = newest_hashes(place, number)
    if before is not None and before.content != digest:
        return Upgraded(
            number,
            False,
            f"its files are not those of the ledger's entry {before.sequence}, which "
            f"{before.actor} wrote {before.at}: put them back from a backup",
        )
    if before is None:
        record_hashes(place, version, digest, actor=actor, at=at, reason=found)
    annotate_version(place, number, tags={CONTENT.removeprefix("mrlm."): content})
    return Upgraded(number, True, f"{found}; its files are {digest[:12]}")
