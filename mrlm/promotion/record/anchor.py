"""The anchor in the ledger, and what is spent of the margins; pure functions of its entries."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from mrlm.promotion.record.candidate import maker_of
from mrlm.promotion.record.ledger import Entry, champion_stack, judgement


def anchor_version(entries: tuple[Entry, ...]) -> int | None:
    """The version that guardrails are anchored to; None before the first champion.

    The first champion, until a person moves it; a promotion never does. So a ledger from before
    there were anchors has one too.
    """
    moved = [e.version for e in entries if e.kind == "anchored"]
    first = [e.version for e in entries if e.kind == "initial"]
    return (moved[-1:] or first[:1] or [None])[0]


def links_from_anchor(entries: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
    """The promotions that lead from the anchor to the champion, in order.

    None where none do: the anchor was never champion, or it was rolled back.
    """
    anchor, stack = anchor_version(entries), champion_stack(entries)
    if anchor not in stack:
        return None
    way = stack[len(stack) - stack[::-1].index(anchor) :]
    promoted = {e.version: e for e in entries if e.kind == "promoted"}
    return tuple(promoted[version] for version in way)


def spent_margins(entries: tuple[Entry, ...]) -> dict[str, float]:
    """Share of each guardrail's margin that the champion has spent against today's anchor.

    As its judgement found it; empty where it was judged against another anchor or against none.
    """
    stack, anchor = champion_stack(entries), anchor_version(entries)
    promoted = [e for e in entries if e.kind == "promoted" and e.version == (stack or (None,))[-1]]
    judged = judgement(entries, promoted[-1].run_key) if promoted else None
    return dict(judged.spent) if judged is not None and judged.anchor == anchor else {}


def spent_by_trials(entries: tuple[Entry, ...]) -> dict[str, float]:
    """Share of each guardrail's margin that trials have used up since the anchor is where it is.

    Of each test the newest look that tells of a guardrail is taken, which rests on most nights.
    Whether its challenger was promoted does not matter. As with ``spent_after``, the promotion of a
    challenger that is proven better in a guardrail gives back what was used up in it, until it is
    rolled back.
    """
    stack = champion_stack(entries)
    used: dict[str, dict[str, float]] = {}
    for entry in entries:
        if entry.kind == "anchored":
            used.clear()
        elif entry.kind == "judged" and entry.trial:
            used.setdefault(maker_of(entry), {}).update(entry.trial)
        elif entry.kind == "promoted" and entry.version in stack:
            judged = judgement(entries, entry.run_key)
            for name, shares in product(judged.gained if judged else (), used.values()):
                shares.pop(name, None)
    names = sorted({name for shares in used.values() for name in shares})
    return {name: sum(shares.get(name, 0.0) for shares in used.values()) for name in names}


def spent_after(
    before: Mapping[str, float], shares: Mapping[str, float], gained: frozenset[str]
) -> dict[str, float]:
    """What a promotion would leave spent of every margin.

    Only a proven gain in a guardrail gives back what was spent in it; elsewhere the luck of a night
    does not.

    Args:
        before: guardrail to the share that the champion has spent.
        shares: guardrail to the estimated fall of the challenger below the anchor over the margin.
        gained: guardrails in which the challenger is proven better than the champion.
    """
    return {
        name: shares[name]
        if name in shares and name in gained
        else max(shares.get(name, 0.0), before.get(name, 0.0))
        for name in sorted({*before, *shares})
    }
