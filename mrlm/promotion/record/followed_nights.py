"""Which promotions are followed, and on which nights; pure functions of the ledger's entries."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mrlm.evidence.followed_promotions import Hindcast
from mrlm.promotion.record.ledger import Entry, judged_nights
from mrlm.promotion.settings import GateSettings


def promotions(entries: Sequence[Entry], except_run_key: str = "") -> tuple[Entry, ...]:
    """The last promotion of every run key but one, in the order of the first ones."""
    found: dict[str, Entry] = {}
    for e in entries:
        if e.kind == "promoted" and e.run_key != except_run_key:
            # Once it is promoted again, a version is followed anew.
            found[e.run_key] = e
    return tuple(found.values())


def _followed_from(entries: Sequence[Entry], promoted: Entry) -> str:
    """The night after which a promotion is followed: its last gate night.

    Of a version that a person promoted again, the last night that had been judged by then: what
    those nights say of it, that person has seen.
    """
    own = max(promoted.gate_nights, default="")
    before = [e for e in entries if e.sequence < promoted.sequence]
    again = any(e.kind == "promoted" and e.run_key == promoted.run_key for e in before)
    return max(own, *judged_nights(tuple(before), "")) if again else own


def nights_since(
    entries: Sequence[Entry],
    run_key: str,
    final: Sequence[str],
    settings: GateSettings,
    before: Hindcast | None = None,
    coming: Collection[str] | None = None,
) -> dict[str, list[str]]:
    """The nights on which each promotion is followed, by its run key.

    A night is read only when a judgement has used it up or passed it by: gate nights are later
    than every judged night, so no judgement to come can use it, and a rollback that hindcast brings
    about cannot choose the champion of a comparison by the very nights that the comparison is made
    on. The bound on false promotions, a union over fresh nights, stays what it is. For the same
    reason tonight's own gate nights wait until tonight is judged. And a night is later than the
    promotion's own gate nights, so the promoted version was neither made nor chosen on it.

    Nights on which nobody was tested are passed by too, once newer ones have taken their place.

    A promotion whose gate nights are no longer in the lake is not followed any more: looks are
    counted by nights, and with the first ones gone a later one would be taken for the first.

    A night that becomes final late comes after those that were read before it, so that every look
    is that of the night before with one night more. Where the newest judged run did not follow the
    promotion, that order is not known, and nights come by date.

    Args:
        entries: of the ledger.
        run_key: tonight's run, whose own entries do not count.
        final: nights with a final north star, oldest first.
        settings: how many nights and promotions are followed.
        before: of the newest judged run, which tells the order in which nights were first read.
        coming: nights of ``final`` that a judgement to come may use; None: all that are later than
            the last judged one.
    """
    read = {p.run_key: p.nights for p in before.promotions} if before is not None else {}
    passed = max(judged_nights(tuple(entries), run_key), default="")
    still = set(final if coming is None else coming)
    found = {}
    for e in promotions(entries, run_key)[-settings.hindcast_promotions :]:
        own, after = max(e.gate_nights, default=""), _followed_from(entries, e)
        since = [n for n in final if n > after and (n <= passed or n not in still)]
        first = [n for n in read.get(e.run_key, ()) if n in since]
        if own in final and since:
            late = [n for n in since if n not in first]
            found[e.run_key] = [*first, *late][: settings.hindcast_nights]
    return found
