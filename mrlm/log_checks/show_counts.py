"""Shows of items beside the propensities that were logged for them, summed over groups of slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Ragged, segment_sum

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
NIGHT = "night"
KINDS = ("position", "scene", "policy", "hour")
# Two halves of the requests at random: each is a test of what the other one suggests.
HALF = "half"
# Upper edges of the bins of numbers of candidates.
SIZES = (1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50, 75, 100, 150, 200, 500, 1_000, 10_000)
# Cells of groups that expect fewer shows, per slot of the night, are left out. Which they are
# depends on propensities alone, never on shows, so that no test is biased by it.
FEWEST_EXPECTED = 1 / 400_000
# Upper edges of the bins of propensities.
BINS = (0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
# Stakes of the gamblers who bet against a propensity; see inverse_shows.
STAKES = tuple(0.5**k for k in range(1, 13))


@dataclass(frozen=True)
class ItemCells:
    """What was expected and seen of every item in every group of one kind, m cells.

    Attributes:
        kind: ``night`` (one group, of all slots), ``half`` or one of ``KINDS``.
        groups: labels, object, shape (g,).
        items: labels, object, shape (i,).
        group: int64, shape (m,).
        item: int64, shape (m,).
        slots: that had the item among their candidates; float64, shape (m,), as what follows.
        expected: sum of its propensities q.
        variance: sum of q (1 - q).
        uniform: sum of 1 / K over the slots' numbers K of candidates.
        shown: slots that showed it.
    """

    kind: str
    groups: NDArray[np.object_]
    items: NDArray[np.object_]
    group: Codes
    item: Codes
    slots: Floats
    expected: Floats
    variance: Floats
    uniform: Floats
    shown: Floats


@dataclass(frozen=True)
class SlotSums:
    """Sums over the slots of every group of one kind, each float64 of shape (g,).

    Attributes:
        kind: ``night`` or one of ``KINDS``.
        groups: labels, object, shape (g,).
        slots: with the propensities of all candidates.
        surprise: sum of log p + H, p of the shown item, H the entropy of the candidates'.
        surprise_variance: sum of its variances, sum of q log^2 q, minus H^2.
        largest: -log q of the smallest propensity above 0.
        entropy: sum of H.
        log_candidates: sum of log K.
        total: sum of the candidates' propensities.
        improper: slots whose candidates' propensities do not sum to 1.
    """

    kind: str
    groups: NDArray[np.object_]
    slots: Floats
    surprise: Floats
    surprise_variance: Floats
    largest: Floats
    entropy: Floats
    log_candidates: Floats
    total: Floats
    improper: Floats


@dataclass(frozen=True)
class Bins:
    """Candidates and shows by their propensity, float64, shape (len(BINS) + 1,).

    Attributes:
        candidates: in the bin.
        expected: sum of their propensities.
        variance: sum of q (1 - q).
        shown: of them.
    """

    candidates: Floats
    expected: Floats
    variance: Floats
    shown: Floats


@dataclass(frozen=True)
class InverseShows:
    """Of slots that log the shown item's propensity p alone; see ``inverse_shows``.

    A label is an item, or a group: of an item every slot is one in which it was a candidate; of a
    group it is every slot, and 1 / p is taken over the number of candidates K.

    Attributes:
        kind: ``item``, ``night`` or one of ``KINDS``.
        labels: object, shape (g,).
        slots: float64, shape (g,).
        shown: of them that showed the item; of a group all of them.
        inverse: sum of 1 / p over the shown ones, of a group of 1 / (p K).
        variance: of that sum, estimated: sum of (1 - p) / p^2, of a group the sample's.
        log_capital: sum over the shown ones of log(1 + s (x - 1)) for every stake s, x the term of
            ``inverse`` over 1 + tolerance; float64, shape (g, len(STAKES)).
    """

    kind: str
    labels: NDArray[np.object_]
    slots: Floats
    shown: Floats
    inverse: Floats
    variance: Floats
    log_capital: Floats


@dataclass(frozen=True)
class ItemGroups:
    """Kinds of items, such as those of a category; an item may be in several.

    Attributes:
        labels: as people read them, object, shape (g,).
        item: labels of items, object, shape (m,), one entry for each item of each group.
        group: of that entry, int64, shape (m,).
    """

    labels: NDArray[np.object_]
    item: NDArray[np.object_]
    group: Codes


@dataclass(frozen=True)
class ShowCounts:
    """All that the checks of propensities against shows read of a night.

    Attributes:
        cells: of ``night`` and of every kind of group that the log has.
        sums: the same.
        bins: calibration.
        inverse: of the slots without the propensities of all candidates; may be empty.
        sizes: slots by the place of their number of candidates in ``SIZES``.
        item_groups: kinds of items that are counted together, formed without looking at shows.
    """

    cells: tuple[ItemCells, ...]
    sums: tuple[SlotSums, ...]
    bins: Bins
    inverse: tuple[InverseShows, ...] = ()
    sizes: Mapping[int, float] = field(default_factory=dict)
    item_groups: ItemGroups | None = None


def shows_of_items(counts: ShowCounts) -> tuple[NDArray[np.object_], Floats]:
    """Items and their shows over the night, whether or not all propensities are logged."""
    found: dict[str, float] = {}
    for cells in counts.cells:
        if cells.kind == NIGHT:
            names = cells.items[cells.item]
            found = dict(zip(names.tolist(), cells.shown.tolist(), strict=True))
    for inverse in counts.inverse:
        if inverse.kind == "item":
            for name, shown in zip(inverse.labels.tolist(), inverse.shown.tolist(), strict=True):
                found[name] = found.get(name, 0.0) + shown
    return np.array(list(found), object), np.array(list(found.values()), np.float64)


def count_shows(
    candidates: Ragged,
    propensity: Floats,
    chosen: Codes,
    groups: Mapping[str, NDArray[np.object_]],
    items: NDArray[np.object_],
    *,
    sum_tolerance: float,
) -> ShowCounts:
    """Count shows of slots that log the propensities of all their candidates.

    Propensities are taken over their sum in the slot, so that a slot that is not normalised is
    told by its sum alone. Memory grows with the candidates and with items times groups of one kind.

    Args:
        candidates: item numbers of each slot.
        propensity: of every candidate, float64, shape (len(candidates.values),), 0 or
            more, and above 0 of the shown one.
        chosen: place of the shown item among the slot's candidates, int64, shape (n,).
        groups: kind to the slot's label, object, shape (n,); of ``KINDS``, and ``half`` where
            slots of one request have one label.
        items: labels of the item numbers.
        sum_tolerance: largest distance of a sum of propensities from 1.
    """
    offsets, item = candidates.offsets, candidates.values.astype(np.int64)
    row = candidates.row
    n = len(candidates)
    total = segment_sum(propensity, offsets)
    q = propensity / total[row]
    shown = np.zeros(len(q))
    place = offsets[:-1] + chosen
    shown[place] = 1.0
    many = candidates.lengths.astype(np.float64)
    log_q = np.log(np.where(q > 0, q, 1.0))
    entropy = -segment_sum(q * log_q, offsets)
    slot_sums = {
        "slots": np.ones(n),
        "surprise": log_q[place] + entropy,
        "surprise_variance": np.maximum(segment_sum(q * log_q**2, offsets) - entropy**2, 0.0),
        "entropy": entropy,
        "log_candidates": np.log(many),
        "total": total,
        "improper": (np.abs(total - 1) > sum_tolerance).astype(np.float64),
    }
    candidate_sums = {
        "slots": np.ones(len(q)),
        "expected": q,
        "variance": q * (1 - q),
        "uniform": (1.0 / many)[row],
        "shown": shown,
    }
    cells, sums = [], []
    for kind, (names, code) in _coded(groups, n).items():
        of_groups = {k: summed(code, v, len(names)) for k, v in slot_sums.items()}
        largest = np.zeros(len(names))
        np.maximum.at(largest, code[row], -log_q)
        if kind != HALF:
            sums.append(SlotSums(kind=kind, groups=names, largest=largest, **of_groups))
        flat = code[row] * len(items) + item
        size = len(names) * len(items)
        # Of many items each is in few groups: only those that are get a cell.
        if size > len(flat):
            cell, flat = np.unique(flat, return_inverse=True)
        else:
            cell = np.arange(size)
        counted = {k: summed(flat, v, len(cell)) for k, v in candidate_sums.items()}
        least = FEWEST_EXPECTED * n if kind in KINDS else 0.0
        kept = np.flatnonzero((counted["slots"] > 0) & (counted["expected"] >= least))
        group, of = np.divmod(cell[kept], len(items))
        cells.append(
            ItemCells(kind, names, items, group, of, **{k: v[kept] for k, v in counted.items()})
        )
    return ShowCounts(tuple(cells), tuple(sums), _bins(q, shown), sizes=size_bins(candidates))


def size_bins(candidates: Ragged) -> dict[int, float]:
    """Slots by the place of their number of candidates in ``SIZES``."""
    places, slots = np.unique(np.searchsorted(SIZES, candidates.lengths), return_counts=True)
    return {int(p): float(k) for p, k in zip(places, slots, strict=True)}


def _coded(
    groups: Mapping[str, NDArray[np.object_]], n: int
) -> dict[str, tuple[NDArray[np.object_], Codes]]:
    """Kind to its sorted labels and the place of each slot's label among them.

    The night is a kind of one group; of other kinds, those with several labels count.
    """
    found = {NIGHT: (np.array([""], object), np.zeros(n, np.int64))}
    for kind, label in groups.items():
        known = pc.unique(pa.array(label, pa.string())).sort()
        if len(known) > 1:
            code = pc.index_in(pa.array(label, pa.string()), value_set=known)
            found[kind] = (
                known.to_numpy(zero_copy_only=False),
                code.to_numpy().astype(np.int64),
            )
    return found


def summed(code: Codes, values: Floats, size: int) -> Floats:
    """Sum of the values of each code below ``size``, float64, shape (size,)."""
    return np.asarray(np.bincount(code, values, size), np.float64)


def _bins(q: Floats, shown: Floats) -> Bins:
    place = np.searchsorted(np.array(BINS), q)
    size = len(BINS) + 1
    return Bins(
        np.bincount(place, minlength=size).astype(np.float64),
        summed(place, q, size),
        summed(place, q * (1 - q), size),
        summed(place, shown, size),
    )


def count_inverse_shows(
    candidates: Ragged,
    propensity: Floats,
    chosen: Codes,
    groups: Mapping[str, NDArray[np.object_]],
    items: NDArray[np.object_],
    *,
    tolerance: float,
) -> tuple[InverseShows, ...]:
    """Count shows of slots that log the propensity of the shown item alone.

    Args:
        candidates: item numbers of each slot.
        propensity: of the shown item, float64, shape (n,), above 0.
        chosen: place of the shown item among the slot's candidates, int64, shape (n,).
        groups: kind to the slot's label, object, shape (n,).
        items: labels of the item numbers.
        tolerance: relative distance of expected and seen that is not looked for.
    """
    n = len(candidates)
    item = candidates.values.astype(np.int64)
    offered = np.bincount(item, minlength=len(items)).astype(np.float64)
    term = 1.0 / propensity
    of = item[candidates.offsets[:-1] + chosen]
    found = [
        InverseShows(
            "item",
            items,
            offered,
            np.bincount(of, minlength=len(items)).astype(np.float64),
            summed(of, term, len(items)),
            summed(of, (1 - propensity) * term**2, len(items)),
            _capital(of, term, len(items), tolerance),
        )
    ]
    over = term / candidates.lengths
    for kind, (names, code) in _coded(groups, n).items():
        if kind == HALF:
            continue
        slots = np.bincount(code).astype(np.float64)
        total = summed(code, over, len(names))
        spread = (over - (total / slots)[code]) ** 2
        found.append(
            InverseShows(
                kind,
                names,
                slots,
                slots,
                total,
                summed(code, spread, len(names)),
                _capital(code, over, len(names), tolerance),
            )
        )
    return tuple(found)


def _capital(code: Codes, term: Floats, size: int, tolerance: float) -> Floats:
    gain = term / (1 + tolerance) - 1
    return np.stack([summed(code, np.log1p(s * gain), size) for s in STAKES], axis=1)
