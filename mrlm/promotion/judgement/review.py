"""A person's decision on a judged version."""

from __future__ import annotations

from mrlm.promotion.record.decision import departure, last_word
from mrlm.promotion.record.ledger import Entry, Kind, judgement
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.versions import annotate_version, has_version, registered_version

# What Airflow records where nobody had to log in.
_NOBODY = frozenset({"", "anonymous"})
_DECIDED, _LONGEST = "**Decision:** ", 1000


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
                _tell(place, word, judged)
                return word
        word = place.ledger.append(
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
        _tell(place, word, judged)
        return word


def _tell(place: RegistryPlace, word: Entry, judged: Entry) -> None:
    """Say above the version's memo who decided what, once, and as a tag."""
    if judged.version is None or not has_version(place, judged.version):
        return
    said = f"{word.kind} by {_literal(word.actor)}, {word.at}: {_literal(word.reason)}"
    if word.kind == "approved" and judged.verdict != "promote":
        said += ". The gate had not promoted it; why is below."
    memo = registered_version(place, judged.version).description
    if memo.startswith(_DECIDED):
        memo = memo.partition("\n\n")[2]
    tags = {"decision": f"{word.kind} by {word.actor}"}
    annotate_version(place, judged.version, memo=f"{_DECIDED}{said}\n\n{memo}", tags=tags)


def _literal(text: str) -> str:
    """A person's text as it is, whatever Markdown would make of it."""
    one_line = " ".join(text.split()).replace("`", "'")[:_LONGEST]
    return f"`{one_line}`" if one_line else "-"
