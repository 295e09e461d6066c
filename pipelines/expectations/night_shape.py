"""What a night's clean tables are like, and whether it is like the trailing nights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mrlm.bandit_log.catalog import Catalog
from mrlm.log_checks.drift import FEWEST_NIGHTS, Drift
from mrlm.log_checks.shapes import (
    NightShape,
    bin_name,
    item_groups,
    item_histograms,
    moved_most,
    rate_name,
)
from mrlm.log_checks.show_counts import NIGHT, SIZES, ShowCounts, shows_of_items, summed
from mrlm.messages.message import Message
from pipelines.expectations.suite import Rule

# Of the statistics table.
DRIFTED = "drifted"
_CANDIDATES = Message("number of candidates")


def night_shape(
    counts: ShowCounts,
    rates: Mapping[str, float],
    catalog: Catalog | None,
    trailing: Sequence[NightShape],
) -> NightShape:
    """The night's histograms and rates.

    Args:
        counts: of its impressions.
        rates: of its events.
        catalog: the items; without them none is described.
        trailing: earlier nights, whose bins are used again.
    """
    histograms: dict[str, dict[str, float]] = {
        _CANDIDATES: {str(k): n for k, n in counts.sizes.items()}
    }
    edges: dict[str, list[float]] = {}
    if catalog is not None:
        usual = trailing[-1].edges if trailing else {}
        names, shown = shows_of_items(counts)
        code = catalog.codes(names).astype(np.int64)
        known = code >= 0
        weight = summed(code[known], shown[known], len(catalog))
        of_items, edges = item_histograms(catalog, weight, usual)
        histograms |= of_items
    return NightShape(histograms, edges, rates)


def with_item_groups(counts: ShowCounts, catalog: Catalog | None) -> ShowCounts:
    """The counts, with the kinds of items that are looked at together."""
    night = [c for c in counts.cells if c.kind == NIGHT]
    if catalog is None or not night:
        return counts
    code = catalog.codes(night[0].items[night[0].item]).astype(np.int64)
    known = code >= 0
    offered = summed(code[known], night[0].slots[known], len(catalog))
    return replace(counts, item_groups=item_groups(catalog, offered))


def shapes_of(statistics: Sequence[Mapping[str, Any]]) -> list[NightShape]:
    """The shapes of trailing nights, those that have one."""
    return [NightShape.from_json(s["shape"]) for s in statistics if "shape" in s]


def drift_rules(
    tonight: NightShape, trailing: Sequence[NightShape], found: Mapping[str, Drift]
) -> list[Rule]:
    """One rule for each feature that drifted, and where none did the rule that was kept."""
    expected = Message(
        "category, provider and attributes of shown items, numbers of candidates and rates of "
        "events like those of the trailing nights; told from {nights} of them on",
        nights=FEWEST_NIGHTS,
    )
    rules = []
    for name, drift in found.items():
        if not drift.warned:
            continue
        rules.append(
            Rule(
                Message("{feature} as usual", feature=name),
                "ExpectColumnValuesToBeBetween",
                {"column": DRIFTED, "max_value": 0},
                Message(
                    "a distance of at most {most:.3g} from the trailing nights, which are "
                    "{apart:.3g} from each other",
                    most=drift.threshold,
                    apart=max(drift.trailing),
                ),
                Message("What was learned there may not hold here, or part of the log is missing."),
                "warning",
                told=_told(name, tonight, trailing, drift),
            )
        )
    return rules or [
        Rule(
            Message("like the trailing nights"),
            "ExpectColumnValuesToBeBetween",
            {"column": DRIFTED, "max_value": 0},
            expected,
            Message("What was learned there may not hold here, or part of the log is missing."),
            "warning",
        )
    ]


def drift_statistics(found: Mapping[str, Drift]) -> dict[str, float]:
    """How many features drifted, for the statistics table."""
    return {DRIFTED: float(sum(d.warned for d in found.values()))}


def as_read(name: str, counts: Mapping[str, float], shape: NightShape) -> dict[str, float]:
    """Shares of a histogram by labels that people read, bins in their order."""
    total = sum(counts.values()) or 1.0
    labels = sorted(counts, key=int) if _edges(name, shape) is not None else counts
    return {_label(name, k, shape): counts[k] / total for k in labels}


def _told(name: str, tonight: NightShape, trailing: Sequence[NightShape], drift: Drift) -> str:
    if name not in tonight.histograms:
        event = next(e for e in tonight.rates if rate_name(e) == name)
        usual = float(np.median([t.rates[event] for t in trailing if event in t.rates]))
        return Message(
            "{feature}: {rate:.3g} a slot, {usual:.3g} on the trailing nights",
            feature=name,
            rate=tonight.rates[event],
            usual=usual,
        )
    same = [t.histograms[name] for t in trailing if name in t.histograms]
    label, now, before = moved_most(tonight.histograms[name], same)
    return Message(
        "{feature} moved by {distance:.3g} (population stability index): {label} {now:.1%} of the "
        "slots, {before:.1%} before",
        feature=name,
        distance=drift.distance,
        label=_label(name, label, tonight),
        now=now,
        before=before,
    )


def _label(name: str, label: str, shape: NightShape) -> str:
    """A bin or a name, as people read it."""
    edges = _edges(name, shape)
    if edges is None:
        return label or Message("none")
    k = int(label)
    if k > len(edges):
        return Message("unknown")
    return bin_name(k, edges)


def _edges(name: str, shape: NightShape) -> Sequence[float] | None:
    return SIZES if name == _CANDIDATES else shape.edges.get(name)
