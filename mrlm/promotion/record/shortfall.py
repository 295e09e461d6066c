"""A champion that falls short of its promise, in the ledger; pure but for the one entry."""

from __future__ import annotations

from mrlm.evidence.evidence import Evidence
from mrlm.promotion.record.decision import last_move
from mrlm.promotion.record.ledger import Entry, Ledger, champion_stack


def rollback_command(version: int) -> str:
    """What a person types to leave a version for the champion before it."""
    return (
        f"mrlm rollback --from {version} --actor YOU --reason "
        f"'version {version} falls short of its promise'"
    )


def open_shortfall(entries: tuple[Entry, ...]) -> Entry | None:
    """The shortfall of today's champion, by the entry that told of it first; None: there is none.

    A move of the champion answers it, whoever made the move.
    """
    move, stack = last_move(entries), champion_stack(entries)
    found = [e for e in entries if e.kind == "fell_short" and e.version == (stack or (None,))[-1]]
    if not found or move is None:
        return None
    return next((e for e in found if e.sequence > move.sequence), None)


def record_shortfall(ledger: Ledger, evidence: Evidence, *, actor: str, at: str) -> Entry | None:
    """Write the champion's alarm into the ledger, the first time; hold the registry's lock.

    Args:
        ledger: of the registry.
        evidence: of the night; its hindcast holds the alarm.
        actor: who looked.
        at: ISO time.

    Returns:
        The entry, or the one that was there; None where the champion has no alarm, or the one that
        the evidence is of is champion no more.

    Raises:
        LedgerError: the ledger is not what commands wrote.
    """
    champion = evidence.champion_version
    alarm = None if evidence.hindcast is None else evidence.hindcast.to_leave(champion)
    if alarm is None:
        return None
    entries = ledger.confirmed()
    if champion_stack(entries)[-1:] != (champion,):
        return None
    return open_shortfall(entries) or ledger.append(
        Entry(
            kind="fell_short",
            run_key=evidence.run_key,
            version=champion,
            actor=actor,
            at=at,
            reason=alarm.reason,
            evidence=evidence.fingerprint(),
        )
    )
