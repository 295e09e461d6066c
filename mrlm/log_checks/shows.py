"""Propensities against shows: was each item shown as often as its logged propensities say?

Identities such as E[1/p] = K hold by construction where a log calls every choice uniform, whatever
was really shown. Counts of shows do not: of item i they have the expectation sum q_i over the slots
that could show it. What is tested, each family of tests with a fifth of the night's error, divided
among its tests by Bonferroni:

1. every item's shows over the night, and those of items of a kind (a category, a provider, a tenth
   of an attribute) together;
2. every item's shows in every group (a position, scene, policy or hour) that expects enough;
3. every group as a whole, twice. Sum of log p + H, whose expectation is 0 (H is the entropy of the
   slot's propensities), and sum of f(shown) - E f(shown), where f(i) is the log of how often the
   *other* groups showed item i over what uniform choice would have shown. The second sees a group
   whose propensities are called uniform, and one that is uniform and called otherwise; between two
   halves of the night it sees a night of many items, none of which is expected often;
4. shows of candidates by their propensity (calibration);
5. where only the shown item's propensity p is logged: sum of 1/p over an item's shows, whose
   expectation is the number of slots that could show it, and the mean of 1 / (p K) by group.

Bounds on the tails hold at any count (``tails``); in 5 they are capitals of bets (Ville), and the
side of too few shows, on which no bound exists without the other propensities, is told apart.

A slot's shows may depend on what the slots above it showed: sums are then of martingale
differences, with the same variance. A cause that moves shows without moving an item's, a group's or
a bin's expectation is not seen: propensities exchanged between users of one taste each, for
instance, when items and groups keep their totals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import norm

from mrlm.log_checks.show_counts import (
    BINS,
    HALF,
    KINDS,
    NIGHT,
    STAKES,
    InverseShows,
    ItemCells,
    ItemGroups,
    ShowCounts,
    SlotSums,
    summed,
)
from mrlm.log_checks.tails import (
    POWER,
    Floats,
    detectable_ratios,
    log_bernstein,
    log_lower_tail,
    log_upper_tail,
)

FAMILIES = 5
# Shows below which the estimated variance of a sum of 1/p tells nothing.
_FEWEST_SHOWS = 100
_UNIFORM = 0.999
# Standard errors at which one of two explanations is given up for the other.
_CLEAR = 3.0

Measure = Literal["shows", "kind", "surprise", "others", "bin", "inverse", "sum"]


@dataclass(frozen=True)
class ShowLimits:
    """What counts as a contradiction.

    Attributes:
        error: chance that a true night has one, over all its tests together.
        tolerance: relative distance of shows from their expectation that is not looked for.
    """

    error: float = 1e-4
    tolerance: float = 0.05

    def log_level(self, tests: int) -> float:
        """Log of the error of one of a family's two-sided tests."""
        return math.log(self.error / FAMILIES / (2 * max(tests, 1)))


@dataclass(frozen=True)
class Contradiction:
    """Shows that the logged propensities do not explain.

    Attributes:
        measure: ``shows`` of an item, ``kind`` of items, ``surprise`` or ``others`` (a group as a
            whole), ``bin``, ``inverse`` (sum of 1/p) or ``sum`` (propensities do not sum to 1).
        kind: ``night``, or the kind of group it was found in.
        group: label of the group; empty for the night.
        item: label of the item, the kind of items or the bin; empty for a group as a whole.
        observed: shows, or the sum.
        expected: of them.
        standard_errors: observed - expected in them.
        log_chance: log of the bound on the chance of this or more, one side.
        certain: whether the bound holds at any count.
    """

    measure: Measure
    kind: str
    group: str
    item: str
    observed: float
    expected: float
    standard_errors: float
    log_chance: float
    certain: bool = True

    @property
    def ratio(self) -> float:
        """Observed over expected."""
        return self.observed / self.expected if self.expected else math.inf


def contradictions(counts: ShowCounts, limits: ShowLimits) -> list[Contradiction]:
    """All contradictions of a night, the least probable first."""
    found: list[Contradiction] = []
    grouped = [c for c in counts.cells if c.kind in KINDS]
    inside = sum(len(c.item) for c in grouped)
    groups = 2 * sum(len(s.groups) for s in counts.sums) + 2
    for sums in counts.sums:
        found += improper_sums(sums)
        found += surprises(sums, limits, limits.log_level(groups))
    for cells in counts.cells:
        if cells.kind == NIGHT:
            kinds = _of_kinds(cells, counts.item_groups)
            level = limits.log_level(len(cells.item) + len(kinds.item))
            found += item_shows(cells, limits, level)
            found += [replace(c, measure="kind") for c in item_shows(kinds, limits, level)]
            continue
        halves = against_others(cells, limits, limits.log_level(groups))
        if cells.kind == HALF:
            found += [replace(c, kind=NIGHT, group="") for c in halves]
        else:
            found += halves
            found += item_shows(cells, limits, limits.log_level(inside))
    found += calibration(counts, limits)
    betted = sum(len(i.labels) for i in counts.inverse)
    for inverse in counts.inverse:
        found += inverse_shows(inverse, limits, limits.log_level(betted))
    return sorted(found, key=lambda c: (c.log_chance, c.kind, c.group, c.item))


def item_shows(cells: ItemCells, limits: ShowLimits, log_level: float) -> list[Contradiction]:
    """Cells that were shown more or less often than expected, beyond the tolerance."""
    z = _over(cells.shown - cells.expected, np.sqrt(cells.variance))
    upper, lower = _tails(cells, limits.tolerance)
    chance = np.minimum(upper, lower)
    return [
        Contradiction(
            "shows",
            cells.kind,
            str(cells.groups[cells.group[k]]),
            str(cells.items[cells.item[k]]),
            float(cells.shown[k]),
            float(cells.expected[k]),
            float(z[k]),
            float(chance[k]),
        )
        for k in np.flatnonzero(chance <= log_level)
    ]


def _of_kinds(cells: ItemCells, groups: ItemGroups | None) -> ItemCells:
    """Cells of kinds of items in place of items.

    A slot shows one item, so the variance of the sum is at most the sum of the variances.
    """
    if groups is None:
        groups = ItemGroups(np.zeros(0, object), np.zeros(0, object), np.zeros(0, np.int64))
    place = {str(cells.items[i]): k for k, i in enumerate(cells.item.tolist())}
    at = np.array([place.get(str(name), -1) for name in groups.item], np.int64)
    known, many = at >= 0, len(groups.labels)

    def total(values: Floats) -> Floats:
        return summed(groups.group[known], values[at[known]], many)

    return ItemCells(
        NIGHT,
        cells.groups,
        groups.labels,
        np.zeros(many, np.int64),
        np.arange(many),
        total(cells.slots),
        total(cells.expected),
        total(cells.variance),
        total(cells.uniform),
        total(cells.shown),
    )


def _tails(cells: ItemCells, tolerance: float) -> tuple[Floats, Floats]:
    """Log bounds on the chance of as many shows or more, and of as few or fewer."""
    more, less = cells.expected * (1 + tolerance), cells.expected * (1 - tolerance)
    variance = cells.variance * (1 + tolerance)
    return (
        log_upper_tail(cells.shown, more, cells.slots, variance),
        log_lower_tail(cells.shown, less, cells.slots, variance),
    )


def surprises(sums: SlotSums, limits: ShowLimits, log_level: float) -> list[Contradiction]:
    """Groups whose shown items were likelier, or less likely, than their slots' entropies say.

    A relative distance of the tolerance of every propensity moves a slot's sum of q log q by the
    tolerance times the standard deviation of log q at most (Cauchy and Schwarz).
    """
    far = np.abs(sums.surprise) - limits.tolerance * np.sqrt(sums.slots * sums.surprise_variance)
    # Neither H nor -log p - H exceeds -log of the smallest propensity, which is log K or more.
    chance = log_bernstein(far, sums.surprise_variance * (1 + limits.tolerance), sums.largest)
    z = _over(sums.surprise, np.sqrt(sums.surprise_variance))
    return [
        Contradiction(
            "surprise",
            sums.kind,
            str(sums.groups[k]),
            "",
            float(sums.surprise[k] - sums.entropy[k]),
            float(-sums.entropy[k]),
            float(z[k]),
            float(chance[k]),
        )
        for k in np.flatnonzero(chance <= log_level)
    ]


def against_others(cells: ItemCells, limits: ShowLimits, log_level: float) -> list[Contradiction]:
    """Groups that showed what the other groups show, against their own propensities.

    The score f of an item is fixed by the other groups' slots. The variance of the sum of f(shown)
    is at most that of f around its mean under all the group's propensities together.
    """
    if len(cells.groups) < 2:
        return []
    many = len(cells.items)
    shown = summed(cells.item, cells.shown, many)[cells.item] - cells.shown
    uniform = summed(cells.item, cells.uniform, many)[cells.item] - cells.uniform
    score = np.log((shown + 1) / (uniform + 1))
    g, size = cells.group, len(cells.groups)
    expected = summed(g, cells.expected, size)
    mean = _over(summed(g, cells.expected * score, size), expected)
    score -= mean[g]
    total = summed(g, score * (cells.shown - cells.expected), size)
    variance = summed(g, score**2 * cells.expected, size)
    allowed = limits.tolerance * summed(g, np.abs(score) * cells.expected, size)
    largest = np.zeros(size)
    np.maximum.at(largest, g, np.abs(score))
    chance = log_bernstein(np.abs(total) - allowed, variance * (1 + limits.tolerance), largest)
    z = _over(total, np.sqrt(variance))
    return [
        Contradiction(
            "others",
            cells.kind,
            str(cells.groups[k]),
            "",
            float(total[k]),
            0.0,
            float(z[k]),
            float(chance[k]),
        )
        for k in np.flatnonzero(chance <= log_level)
    ]


def calibration(counts: ShowCounts, limits: ShowLimits) -> list[Contradiction]:
    """Bins of propensities that were shown more or less often than expected."""
    edges = (0.0, *BINS, 1.0)
    names = [f"{a:g} to {b:g}" for a, b in pairwise(edges)]
    bins = counts.bins
    cells = ItemCells(
        NIGHT,
        np.array([""], object),
        np.array(names, object),
        np.zeros(len(names), np.int64),
        np.arange(len(names)),
        bins.candidates,
        bins.expected,
        bins.variance,
        bins.expected,
        bins.shown,
    )
    found = item_shows(cells, limits, limits.log_level(len(names)))
    return [replace(c, measure="bin") for c in found]


def inverse_shows(
    inverse: InverseShows, limits: ShowLimits, log_level: float
) -> list[Contradiction]:
    """Items and groups whose sum of 1/p is not the number of their slots.

    Too much: a gambler who stakes a share s of the capital on every slot, at odds that are fair
    when p is true, holds prod(1 + s (1[shown] / p - 1)); the mean over the stakes reaches 1 / error
    with that error at most (Ville), at any count. Too little: five standard errors and more by the
    sample's variance, of items shown often enough; that side is not certain. An item that is never
    shown has no propensity in the log, so nothing can be said of it.
    """
    unseen = (inverse.slots - inverse.shown)[:, None] * np.log1p(-np.array(STAKES))
    capital = logsumexp(inverse.log_capital + unseen, axis=1) - math.log(len(STAKES))
    upper = np.minimum(-capital, 0.0)
    z = _over(inverse.inverse - inverse.slots, np.sqrt(inverse.variance))
    missing = _over(
        inverse.inverse - inverse.slots * (1 - limits.tolerance), np.sqrt(inverse.variance)
    )
    lower = np.where(inverse.shown >= _FEWEST_SHOWS, norm.logcdf(np.minimum(missing, 0.0)), 0.0)
    chance = np.minimum(upper, lower)
    item = inverse.kind == "item"
    return [
        Contradiction(
            "inverse",
            NIGHT if item else inverse.kind,
            "" if item else str(inverse.labels[k]),
            str(inverse.labels[k]) if item else "",
            float(inverse.inverse[k]),
            float(inverse.slots[k]),
            float(z[k]),
            float(chance[k]),
            bool(upper[k] <= log_level),
        )
        for k in np.flatnonzero(chance <= log_level)
    ]


def improper_sums(sums: SlotSums) -> list[Contradiction]:
    """Groups with slots whose candidates' propensities do not sum to 1."""
    return [
        Contradiction(
            "sum",
            sums.kind,
            str(sums.groups[k]),
            "",
            float(sums.total[k]),
            float(sums.slots[k]),
            math.inf,
            -math.inf,
        )
        for k in np.flatnonzero(sums.improper)
    ]


def detectable(
    expected: Floats, slots: Floats, tests: int, limits: ShowLimits
) -> tuple[Floats, Floats]:
    """Ratios of shows to their expectation that are found with 80 % power.

    Args:
        expected: shows of the item, float64, shape (n,).
        slots: that could show it, the same shape.
        tests: items tested that night.
        limits: error and tolerance.

    Returns:
        lower and upper, shape (n,): see ``detectable_ratios``.
    """
    return detectable_ratios(expected, slots, limits.log_level(tests), limits.tolerance)


def detectable_surprise(sums: SlotSums, limits: ShowLimits, tests: int) -> Floats:
    """Shift of a group's mean log propensity that is found with 80 % power, nats, shape (g,).

    Args:
        sums: of the groups.
        limits: error and tolerance.
        tests: of groups as a whole that night, two a group.
    """
    level = -limits.log_level(tests)
    variance = sums.surprise_variance * (1 + limits.tolerance)
    least = sums.largest * level / 3
    least += np.sqrt(least**2 + 2 * variance * level)
    least += limits.tolerance * np.sqrt(sums.slots * sums.surprise_variance)
    least += norm.ppf(POWER) * np.sqrt(sums.surprise_variance)
    return _over(least, sums.slots)


def looks_uniform(sums: SlotSums) -> NDArray[np.bool_]:
    """Groups whose logged propensities are those of uniform choice, bool, shape (g,)."""
    return (sums.log_candidates > 0) & (sums.entropy >= _UNIFORM * sums.log_candidates)


def shown_as_if_uniform(cells: ItemCells, rest: ItemCells | None, limits: ShowLimits) -> bool:
    """Whether uniform choice explains the shows of one group's items.

    Args:
        cells: of the group.
        rest: of the slots outside it; None where it is the night, whose own propensities then say
            which items another choice than the uniform one would prefer.
        limits: error and tolerance.
    """
    chance = replace(cells, expected=cells.uniform, variance=cells.uniform)
    if item_shows(chance, limits, limits.log_level(len(cells.item))):
        return False
    many = len(cells.items)
    source, weight = (cells, cells.expected) if rest is None else (rest, rest.shown)
    liked = summed(source.item, weight, many)[cells.item]
    usual = summed(source.item, source.uniform, many)[cells.item]
    z = scored_gap(np.log((liked + 1) / (usual + 1)), cells.shown, cells.uniform)
    return bool(abs(z) < _CLEAR)


def scored_gap(score: Floats, shown: Floats, expected: Floats) -> float:
    """Sum of score (shown - expected) in standard errors; scores are centred, none gives 0."""
    total = expected.sum()
    if total <= 0:
        return 0.0
    score = score - (score * expected).sum() / total
    error = math.sqrt(float((score**2 * expected).sum()))
    return float((score * (shown - expected)).sum()) / error if error > 0 else 0.0


def without(night: ItemCells, cells: ItemCells, group: int) -> ItemCells:
    """The night's items over the slots outside one group."""
    mine = cells.group == group

    def rest(whole: Floats, part: Floats) -> Floats:
        taken = summed(cells.item[mine], part[mine], len(cells.items))
        return whole - taken[night.item]

    return replace(
        night,
        slots=rest(night.slots, cells.slots),
        expected=rest(night.expected, cells.expected),
        variance=np.maximum(rest(night.variance, cells.variance), 0.0),
        uniform=rest(night.uniform, cells.uniform),
        shown=rest(night.shown, cells.shown),
    )


def _over(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.zeros(np.shape(a)), where=b > 0)
