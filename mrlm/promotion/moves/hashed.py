"""The ledger's word on which files a version has."""

from __future__ import annotations

from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.versions import RegisteredVersion


def newest_hashes(place: RegistryPlace, version: int) -> Entry | None:
    """The newest entry with hashes of a version's files; None where it never had one."""
    found = [e for e in place.ledger.confirmed() if e.kind == "hashed" and e.version == version]
    return found[-1] if found else None


def record_hashes(
    place: RegistryPlace,
    version: RegisteredVersion,
    digest: str,
    *,
    actor: str,
    at: str,
    reason: str,
) -> None:
    """Write to the ledger that a version's files have this hash from now on."""
    place.ledger.append(
        Entry(
            kind="hashed",
            run_key=version.run_key,
            version=version.version,
            actor=actor,
            at=at,
            reason=reason,
            evidence=version.tags.get("mrlm.evidence", ""),
            content=digest,
        )
    )
