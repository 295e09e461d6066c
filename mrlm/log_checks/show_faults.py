"""What is wrong with a night's propensities, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mrlm.log_checks.show_counts import KINDS, NIGHT, ItemCells, ShowCounts, SlotSums, summed
from mrlm.log_checks.shows import (
    Contradiction,
    ShowLimits,
    contradictions,
    item_shows,
    looks_uniform,
    scored_gap,
    shown_as_if_uniform,
    surprises,
    without,
)
from mrlm.log_checks.tails import Floats
from mrlm.messages.message import Message, Name

_SHOWN = 5
# Standard errors at which the rest of a night is taken to share a group's fault.
_SHARED = 2.5
# A fault of more items than these is not theirs.
_FEW_ITEMS = 2
_ANOTHER = Message(
    "The lists may be those of another position, hour or policy, or in another order than the "
    "candidates: compare them with what drew the items."
)


@dataclass(frozen=True)
class ShowFault:
    """One cause that explains contradictions of propensities and shows.

    Attributes:
        told: what was found, in plain words, with the item or group and its numbers.
        advice: what to do.
        certain: whether it may stop a night; see ``Contradiction.certain``.
        contradictions: the least probable first.
    """

    told: Message
    advice: Message
    certain: bool
    contradictions: tuple[Contradiction, ...]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A few of the contradictions as JSON values."""
        return [
            {
                "measure": c.measure,
                "where": _place(c.kind, c.group) or "the night",
                "item_id": c.item,
                "observed": round(c.observed, 3),
                "expected": round(c.expected, 3),
                "standard_errors": round(min(max(c.standard_errors, -1e6), 1e6), 2),
            }
            for c in self.contradictions[:_SHOWN]
        ]


def show_faults(counts: ShowCounts, limits: ShowLimits) -> list[ShowFault]:
    """What is wrong, the surest first; empty where propensities explain the shows."""
    found = contradictions(counts, limits)
    faults = []
    sums = [c for c in found if c.measure == "sum"]
    if sums:
        faults.append(_improper(counts, sums))
    shows = [c for c in found if c.measure in {"shows", "kind", "surprise", "others", "bin"}]
    if shows:
        faults.append(_shows(counts, shows, limits))
    for certain in (True, False):
        inverse = [c for c in found if c.measure == "inverse" and c.certain == certain]
        if inverse:
            faults.append(_inverse(inverse, certain))
    return faults


def _improper(counts: ShowCounts, found: list[Contradiction]) -> ShowFault:
    """Propensities that do not sum to 1, in the smallest group that holds all such slots."""
    by_kind = {s.kind: s for s in counts.sums}
    improper = by_kind[NIGHT].improper.sum()
    kind, k = NIGHT, 0
    for name in KINDS:
        sums = by_kind.get(name)
        if sums is None or len(sums.groups) < 2:
            continue
        g = int(np.argmax(sums.improper))
        if sums.improper[g] == improper and sums.slots[g] < by_kind[kind].slots[k]:
            kind, k = name, g
    sums = by_kind[kind]
    where = _place(kind, str(sums.groups[k]))
    mean = sums.total[k] / sums.slots[k]
    told = Message(
        "candidate propensities do not sum to 1 in {improper:.0f} of {slots:.0f} slots, on average "
        "to {mean:.3g}",
        improper=sums.improper[k],
        slots=sums.slots[k],
        mean=mean,
    )
    if where:
        told = Message("{where}: {told}; elsewhere they do", where=where, told=told)
    named = [c for c in found if (c.kind, c.group) == (kind, str(sums.groups[k]))]
    advice = Message("Log the propensities after the last filter, divided by their sum.")
    return ShowFault(told, advice, True, tuple(named))


def _shows(counts: ShowCounts, found: list[Contradiction], limits: ShowLimits) -> ShowFault:
    place = _guilty_group(counts, found, limits)
    kind, group = place or (NIGHT, "")
    where = _place(kind, group)
    cells = next(c for c in counts.cells if c.kind == kind)
    sums = next(s for s in counts.sums if s.kind == kind)
    k = int(np.flatnonzero(sums.groups == group)[0])
    inside = _only(cells, k)
    night = next(c for c in counts.cells if c.kind == NIGHT)
    rest = None if place is None else without(night, cells, k)
    mine = [c for c in found if (c.kind, c.group) == (kind, group)]
    named = _named(inside, mine)
    ordered = sorted(found, key=lambda c: (c not in mine, not c.item))
    if looks_uniform(sums)[k]:
        told = Message("logged as if uniform: {named}", named=named)
        advice = Message(
            "The logger chose by something else than the propensities 1/K that it wrote: log the "
            "probabilities with which items were drawn."
        )
    elif (swapped := _swapped(inside, mine, limits)) is not None:
        told = Message(
            "propensities of items {one} and {other} exchanged: {named}",
            one=swapped[0],
            other=swapped[1],
            named=named,
        )
        advice = Message(
            "Each was shown as often as the other's propensity says: look at their order."
        )
    elif _uniform_matters(inside) and shown_as_if_uniform(inside, rest, limits):
        told = Message("shown as if uniform, logged otherwise: {named}", named=named)
        advice = Message(
            "Items were drawn uniformly, or nearly: find out whether a fallback or an exploration "
            "arm answered, and log its propensities."
        )
    elif any(c.measure == "surprise" for c in mine) and (place or _several_items(mine)):
        told = Message("logged with the propensities of another choice: {named}", named=named)
        advice = _ANOTHER
    elif any(c.measure in {"shows", "kind"} for c in mine):
        told = Message("shows do not follow the propensities: {named}", named=named)
        advice = Message(
            "Compare the logger's propensities of these items with the code that draws them."
        )
    elif mine and mine[0].measure == "bin":
        b = mine[0]
        told = Message(
            "propensities are not calibrated: candidates with {bin} were shown {shown:.0f} times, "
            "{expected:.0f} expected",
            bin=b.item,
            shown=b.observed,
            expected=b.expected,
        )
        advice = Message(
            "Propensities may be rounded, sharpened or smoothed after the draw: log them raw."
        )
        where = ""
    else:
        told = Message("logged with the propensities of another choice: {named}", named=named)
        advice = _ANOTHER
    if where:
        told = Message("{where}, {told}", where=where, told=told)
    return ShowFault(told, advice, True, tuple(ordered))


def _several_items(found: Sequence[Contradiction]) -> bool:
    return len({c.item for c in found if c.measure == "shows"}) > _FEW_ITEMS


def _guilty_group(
    counts: ShowCounts, found: list[Contradiction], limits: ShowLimits
) -> tuple[str, str] | None:
    """The smallest group without which the night's propensities explain its shows."""
    by_kind = {c.kind: c for c in counts.cells}
    sums_by_kind = {s.kind: s for s in counts.sums}
    whole = sums_by_kind[NIGHT]
    suspects = {(c.kind, c.group) for c in found if c.kind != NIGHT}
    best: tuple[float, int, str] | None = None
    for kind, group in suspects:
        cells, sums = by_kind[kind], sums_by_kind[kind]
        if len(sums.groups) < 2:
            continue
        k = int(np.flatnonzero(sums.groups == group)[0])
        rest = without(by_kind[NIGHT], cells, k)
        level = limits.log_level(len(rest.item))
        if item_shows(rest, limits, level) or _shares(rest, _only(cells, k)):
            continue
        if surprises(_minus(whole, sums, k), limits, limits.log_level(1)):
            continue
        place = (float(sums.slots[k]), KINDS.index(kind), group)
        best = place if best is None else min(best, place)
    return None if best is None else (KINDS[best[1]], best[2])


def _shares(rest: ItemCells, inside: ItemCells) -> bool:
    """Whether the rest's shows deviate as those of the group do, all items or the worst one."""
    many = len(rest.items)
    shown = summed(inside.item, inside.shown, many)[rest.item]
    expected = summed(inside.item, inside.expected, many)[rest.item]
    if scored_gap(np.log((shown + 1) / (expected + 1)), rest.shown, rest.expected) > _SHARED:
        return True
    z = _standard_errors(inside)
    if not len(z):
        return False
    k = int(np.argmax(np.abs(z)))
    same = rest.item == inside.item[k]
    return bool((np.sign(z[k]) * _standard_errors(rest)[same] > _SHARED).any())


def _standard_errors(cells: ItemCells) -> Floats:
    return (cells.shown - cells.expected) / np.sqrt(np.maximum(cells.variance, 1e-12))


def _minus(whole: SlotSums, sums: SlotSums, k: int) -> SlotSums:
    """The night's sums over the slots outside one group."""
    return replace(
        whole,
        slots=whole.slots - sums.slots[k],
        surprise=whole.surprise - sums.surprise[k],
        surprise_variance=np.maximum(whole.surprise_variance - sums.surprise_variance[k], 0.0),
        entropy=whole.entropy - sums.entropy[k],
        log_candidates=whole.log_candidates - sums.log_candidates[k],
        total=whole.total - sums.total[k],
        improper=whole.improper - sums.improper[k],
    )


def _only(cells: ItemCells, k: int) -> ItemCells:
    """The cells of one group, as those of a night."""
    mine = cells.group == k
    return ItemCells(
        NIGHT,
        np.array([""], object),
        cells.items,
        np.zeros(int(mine.sum()), np.int64),
        cells.item[mine],
        cells.slots[mine],
        cells.expected[mine],
        cells.variance[mine],
        cells.uniform[mine],
        cells.shown[mine],
    )


def _named(cells: ItemCells, found: Sequence[Contradiction]) -> str:
    """The item that contradicts most, shown more often than expected where there is one."""
    shows = [c for c in found if c.measure == "shows"]
    more = [c for c in shows if c.observed > c.expected] or shows
    if more:
        return _item(more[0].item, more[0].observed, more[0].expected)
    kinds = [c for c in found if c.measure == "kind"]
    if kinds:
        more = [c for c in kinds if c.observed > c.expected] or kinds
        return _shown(
            Message("items of {group}", group=more[0].item), more[0].observed, more[0].expected
        )
    if not len(cells.item):
        return Message("no item was expected often enough to be named")
    # Of items that are hardly expected, one show is many standard errors.
    often = cells.expected >= min(1.0, float(cells.expected.max()))
    k = int(np.argmax(np.where(often, _standard_errors(cells), -np.inf)))
    return _item(str(cells.items[cells.item[k]]), cells.shown[k], cells.expected[k])


def _item(name: str, shown: float, expected: float) -> str:
    return _shown(Message("item {item}", item=name), shown, expected)


def _shown(what: str, shown: float, expected: float) -> str:
    told = f"{expected:.0f}" if expected >= 9.5 else f"{expected:.2g}"
    return Message(
        "{what} shown {shown:.0f} times, {expected} expected",
        what=what,
        shown=shown,
        expected=told,
    )


def _swapped(
    cells: ItemCells, found: Sequence[Contradiction], limits: ShowLimits
) -> tuple[str, str] | None:
    """Two items that were shown as often as the other's propensities say, and no third."""
    names = list(dict.fromkeys(c.item for c in found if c.measure == "shows"))
    if not 1 <= len(names) <= _FEW_ITEMS:
        return None
    labels = cells.items[cells.item]
    first = int(np.flatnonzero(labels == names[0])[0])
    z = _standard_errors(cells)
    # The other one may not be expected often enough to be found by itself.
    other = int(np.argmax(-np.sign(z[first]) * z))
    if {names[0], str(labels[other])} < set(names) or z[first] * z[other] > -(_SHARED**2):
        return None
    place = [first, other]
    crossed = cells.expected.copy()
    crossed[place] = (cells.expected / cells.slots)[place[::-1]] * cells.slots[place]
    # Among other candidates the other's propensity is another one, if not by much.
    loose = replace(limits, tolerance=max(limits.tolerance, 0.5))
    if item_shows(replace(cells, expected=crossed), loose, limits.log_level(len(cells.item))):
        return None
    return names[0], str(labels[other])


def _uniform_matters(cells: ItemCells) -> bool:
    """Whether uniform choice would show the items differently."""
    gap = np.abs(cells.expected - cells.uniform).sum()
    return bool(gap > 0.1 * cells.expected.sum())


def _inverse(found: list[Contradiction], certain: bool) -> ShowFault:
    first = found[0]
    where = _place(first.kind, first.group)
    if first.item:
        told = Message(
            "item {item}: 1/propensity of its shows sums to {sum:.0f}, but it was a candidate in "
            "{slots:.0f} slots ({ratio:.2g} times)",
            item=first.item,
            sum=first.observed,
            slots=first.expected,
            ratio=first.ratio,
        )
    else:
        told = Message(
            "1/propensity is on average {ratio:.3g} times the number of candidates in {slots:.0f} "
            "slots",
            ratio=first.ratio,
            slots=first.expected,
        )
        if where:
            told = Message("{where}: {told}", where=where, told=told)
    advice = Message(
        "The logged propensities are not those of the draws: too small where the sum is too large. "
        "Log the propensities of all candidates, and the check names what is wrong with them."
    )
    return ShowFault(told, advice, certain, tuple(found))


def _place(kind: str, group: str) -> str:
    return "" if kind == NIGHT else Message("{kind} {group}", kind=Name(kind), group=group)
