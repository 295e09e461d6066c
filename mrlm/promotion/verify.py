"""Find what happened to the registry outside the ledger."""

from __future__ import annotations

from collections import Counter

from mrlm.promotion.alias_state import misplaced, restore_aliases, unknown_marks
from mrlm.promotion.integrity import NoHashesError, content_hash
from mrlm.promotion.ledger import Entry, LedgerError
from mrlm.promotion.place import RegistryPlace
from mrlm.promotion.registry import (
    RegisteredVersion,
    aliases,
    all_versions,
    damage_of,
    version_content,
)


def verify(place: RegistryPlace) -> tuple[str, ...]:
    """Everything that does not fit together, in words; nothing when all is sound.

    Looks at the ledger's chain, its cut-off end, the aliases, versions that the ledger names and
    the registry lacks, run keys with two versions, and the files of every version that the ledger
    names or an alias points to.
    """
    try:
        entries = place.ledger.entries()
    except LedgerError as error:
        return (str(error),)
    versions = all_versions(place)
    numbers = {v.version for v in versions}
    named = {e.version for e in entries if e.version is not None}
    chosen = named | set(aliases(place).values())
    out = [f"version {v} is in the ledger and not in the registry" for v in sorted(named - numbers)]
    out += misplaced(place, entries)
    out += unknown_marks(place, entries)
    keys = Counter(v.run_key for v in versions if v.run_key)
    out += [f"run key {k} has {n} versions" for k, n in sorted(keys.items()) if n > 1]
    for version in versions:
        if version.version in chosen:
            out += _files(place, version, entries)
    return tuple(out)


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


def restore(place: RegistryPlace, *, actor: str, seconds: float = 600.0) -> tuple[str, ...]:
    """Put aliases that were moved by hand back where the ledger says, and verify again.

    Raises:
        LedgerError: the ledger's chain is broken, so it cannot say where they belong.
        RegistryBusyError: somebody else holds the lock.
    """
    with place.locked(actor, seconds):
        restore_aliases(place, place.ledger.entries())
    return verify(place)
