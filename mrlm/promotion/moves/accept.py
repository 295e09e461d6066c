"""Take a night's deliveries as they are, on a person's word."""

from __future__ import annotations

from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.registry.place import RegistryPlace


def accept_night(
    place: RegistryPlace,
    night: str,
    deliveries: str,
    *,
    actor: str,
    at: str,
    reason: str,
    seconds: float = 600.0,
) -> Entry:
    """Write into the ledger that a night's deliveries are taken as whole; once for what they are.

    Args:
        place: the registry.
        night: arrival night, ISO date.
        deliveries: fingerprint of what was found of them; others are not accepted with them.
        actor: who accepts.
        at: ISO time.
        reason: in words.
        seconds: longest wait for the lock.

    Returns:
        The entry, or the one that was there already.

    Raises:
        LedgerError: the ledger's chain is broken, or there is no registry yet.
        RegistryBusyError: somebody else holds the lock.
    """
    with place.locked(actor, seconds):
        for entry in place.ledger.confirmed():
            if entry.kind == "accepted" and entry.run_key == night and entry.holds_for(deliveries):
                return entry
        return place.ledger.append(
            Entry("accepted", night, None, actor, at, reason, content=deliveries)
        )
