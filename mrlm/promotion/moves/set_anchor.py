"""Move the anchor, on a person's word."""

from __future__ import annotations

from mrlm.promotion.record.anchor import anchor_version
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import version_folder
from mrlm.promotion.registry.versions import all_versions


def set_anchor(
    place: RegistryPlace,
    version: int,
    *,
    actor: str,
    at: str,
    reason: str,
    seconds: float = 600.0,
) -> Entry:
    """Hold challengers against this version from the next night on; killed anywhere, call it again.

    What was spent of the margins below the old anchor is accepted by that: against the new one
    nothing is spent yet.

    Args:
        place: the registry.
        version: registered version that becomes the anchor.
        actor: who moves it.
        at: ISO time.
        reason: in words.
        seconds: longest wait for the lock.

    Returns:
        The entry; where the version is the anchor already, the last one that made it so.

    Raises:
        ValueError: there is no such version, no champion yet, or no reason is given.
        DamagedVersionError: its files are not those that were registered.
        LedgerError: the ledger is not what commands wrote.
        RegistryBusyError: somebody else holds the lock.
    """
    if not reason.strip():
        raise ValueError("the anchor moves for a reason that can be read later: give one")
    with place.locked(actor, seconds):
        entries = place.ledger.confirmed()
        before = anchor_version(entries)
        if before is None:
            raise ValueError("there is no champion yet, and the first one is the first anchor")
        if before == version:
            made = ("anchored", "initial")
            return [e for e in entries if e.kind in made and e.version == version][-1]
        versions = {v.version: v for v in all_versions(place)}
        if version not in versions:
            there = ", ".join(map(str, sorted(versions)))
            raise ValueError(f"there is no version {version}; the versions are {there}")
        version_folder(place, version)
        run_key = versions[version].run_key
        return place.ledger.append(
            Entry("anchored", run_key, version, actor, at, reason, anchor=before)
        )
