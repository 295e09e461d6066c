"""Find what happened to the registry outside the ledger."""

from __future__ import annotations

from collections import Counter

from mrlm.promotion.record.decision import MOVES, objection_to_move
from mrlm.promotion.record.ledger import Entry, LedgerError
from mrlm.promotion.registry.alias_state import misplaced, restore_aliases
from mrlm.promotion.registry.integrity import NoHashesError, content_hash
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import damage_of, version_content
from mrlm.promotion.registry.versions import RegisteredVersion, aliases, all_versions


def verify(place: RegistryPlace, *, head: str = "", seconds: float = 600.0) -> tuple[str, ...]:
    """Everything that does not fit together, each with what to do; nothing when all is sound.

    Looks at the ledger's chain and its mark in the registry's database, the decisions behind its
    moves, the aliases, versions that the ledger names and the registry lacks, run keys with two
    versions, and the files of every version that the ledger names or an alias points to.

    Args:
        place: the registry.
        head: hash of a ledger entry that was kept elsewhere; it finds a ledger that was rewritten
            together with its mark. "": none.
        seconds: longest wait for the lock: what another command has half done is no finding.

    Raises:
        RegistryBusyError: somebody else holds the lock.
    """
    if not (place.exists or place.ledger.path.exists()):
        return tuple(_unknown_head((), head))
    with place.locked("mrlm verify", seconds):
        versions = all_versions(place)
        entries, out = _ledger(place, head, versions)
        chosen = {e.version for e in entries} | set(aliases(place).values())
    # Files of a version never change, so nobody has to wait while they are read.
    for version in versions:
        if version.version in chosen:
            out += _files(place, version, entries)
    return tuple(out)


def restore(
    place: RegistryPlace, *, actor: str, head: str = "", seconds: float = 600.0
) -> tuple[str, ...]:
    """Put back what can be put back by the ledger's marked entries, and verify again.

    Bytes after the marked end go to a file beside the ledger, aliases where the ledger says.

    Raises:
        LedgerError: the ledger is not whole up to its mark, so it cannot say where they belong.
        RegistryBusyError: somebody else holds the lock.
    """
    with place.locked(actor, seconds):
        place.ledger.drop_unmarked()
        restore_aliases(place, place.ledger.confirmed())
    return verify(place, head=head, seconds=seconds)


def _ledger(
    place: RegistryPlace, head: str, versions: tuple[RegisteredVersion, ...]
) -> tuple[tuple[Entry, ...], list[str]]:
    """The entries that the mark confirms, and what does not fit them."""
    out = _double(versions)
    try:
        entries = place.ledger.standing().entries
    except LedgerError as error:
        return (), [str(error), *out]
    out += place.ledger.problems()
    out += _unknown_head(entries, head)
    out += _gone(entries, versions)
    out += _undecided(entries)
    out += misplaced(place, entries)
    return entries, out


def _files(
    place: RegistryPlace, version: RegisteredVersion, entries: tuple[Entry, ...]
) -> list[str]:
    out = [f"version {version.version}: {problem}" for problem in damage_of(place, version)]
    try:
        content = version_content(version)
    except NoHashesError as error:
        return [*out, str(error)]
    hashed = [e for e in entries if e.kind == "hashed" and e.version == version.version]
    if hashed and hashed[-1].content != content_hash(content):
        out.append(
            f"version {version.version}: the registry's hashes of its files are not those of the "
            f"ledger's entry {hashed[-1].sequence}: restore ledger and registry from one backup"
        )
    return out


def _unknown_head(entries: tuple[Entry, ...], head: str) -> list[str]:
    if not head or head in {e.hash for e in entries}:
        return []
    return [
        f"no entry of the ledger has the hash {head}: it was cut off or rewritten after that hash "
        "was taken, and its mark in the registry with it; restore ledger and registry from a backup"
    ]


def _gone(entries: tuple[Entry, ...], versions: tuple[RegisteredVersion, ...]) -> list[str]:
    numbers = {v.version for v in versions}
    named = {e.version for e in entries if e.version is not None}
    return [
        f"version {v} is in the ledger and not in the registry: restore the registry's database "
        "from a backup"
        for v in sorted(named - numbers)
    ]


def _undecided(entries: tuple[Entry, ...]) -> list[str]:
    """Moves without a decision, since the ledger was last taken over."""
    start = max((e.sequence for e in entries if e.kind == "adopted"), default=-1)
    out = []
    for e in entries[start + 1 :]:
        objection = objection_to_move(entries, e) if e.kind in MOVES else ""
        if objection:
            out.append(
                f"entry {e.sequence} of the ledger: {e.kind} version {e.version}, but {objection}: "
                "find out who wrote it; 'mrlm rollback' goes back to the champion before, or "
                "restore ledger and registry from a backup"
            )
    return out


def _double(versions: tuple[RegisteredVersion, ...]) -> list[str]:
    keys = Counter(v.run_key for v in versions if v.run_key)
    return [
        f"run key {k} has {n} versions: delete in MLflow those that the ledger does not name"
        for k, n in sorted(keys.items())
        if n > 1
    ]
