"""A person's decision on a judged version."""

from __future__ import annotations

from mrlm.promotion.record.decision import departure, last_word
from mrlm.promotion.record.ledger import Entry, Kind, judgement
from mrlm.promotion.registry.place import RegistryPlace

# What Airflow records where nobody had to log in.
_NOBODY = frozenset({"", "anonymous"})


def record_decision(
    place: RegistryPlace,
    run_key: str,
    *,
    approve: bool,
    actor: str,
    at: str,
    reason: str,
    seconds: float = 600.0,
) -> Entry:
    """Write a person's approval or rejection into the ledger; the last one counts.

    An approval stands above a refusal of the gate, and the ledger shows both. It is on the
    evidence that was judged, and promotes nothing by itself. It holds until the version is left by
    a rollback or for another one. Killed anywhere, call it again: the same word is written once.

    Raises:
        ValueError: nobody is named, or the run key has not been judged.
        RegistryBusyError: somebody else holds the lock.
        LedgerError: the ledger is not what commands wrote.
    """
    if actor.strip().lower() in _NOBODY:
        raise ValueError("a decision needs a person's name; log in, or pass --actor")
    kind: Kind = "approved" if approve else "rejected"
    with place.locked(actor, seconds):
        entries = place.ledger.confirmed()
        judged = judgement(entries, run_key)
        if judged is None:
            raise ValueError(f"{run_key!r} has not been judged: there is nothing to decide on yet")
        word = last_word(entries, run_key)
        if word is not None and (word.kind, word.actor, word.reason) == (kind, actor, reason):
            left = None if judged.version is None else departure(entries, judged.version)
            if left is None or word.sequence > left.sequence:
                return word
        return place.ledger.append(
            Entry(
                kind=kind,
                run_key=run_key,
                version=judged.version,
                actor=actor,
                at=at,
                reason=reason,
                evidence=judged.evidence,
                champion_version=judged.champion_version,
            )
        )
