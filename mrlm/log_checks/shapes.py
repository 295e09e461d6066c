"""What a night's rows are like, in a few histograms and rates that nights are compared by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.catalog import Catalog
from mrlm.log_checks.drift import Drift, binned, deciles, histogram_drift, rate_drift
from mrlm.log_checks.show_counts import ItemGroups, summed
from mrlm.messages.message import Message

Floats = NDArray[np.float64]
# Of names; the others are one.
_MOST_LABELS = 60
_OTHER = "other"
# Names that hold less of all nights together are compared as one.
_SMALLEST_SHARE = 0.005


@dataclass(frozen=True)
class NightShape:
    """Histograms and rates of a night.

    Attributes:
        histograms: feature to label to count.
        edges: inner edges of the numeric features' bins; their labels are numbers from 0.
        rates: event to events a shown slot.
    """

    histograms: Mapping[str, Mapping[str, float]]
    edges: Mapping[str, Sequence[float]]
    rates: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "histograms": {k: dict(v) for k, v in self.histograms.items()},
            "edges": {k: list(v) for k, v in self.edges.items()},
            "rates": dict(self.rates),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> NightShape:
        """From what ``to_json`` gave."""
        return cls(value["histograms"], value["edges"], value["rates"])


def item_histograms(
    catalog: Catalog, shown: Floats, usual_edges: Mapping[str, Sequence[float]]
) -> tuple[dict[str, dict[str, float]], dict[str, list[float]]]:
    """Shows by category, provider and each attribute of the shown items.

    Args:
        catalog: the items.
        shown: shows of each, float64, shape (items,).
        usual_edges: edges of attributes that earlier nights used; others get tenths of tonight's.

    Returns:
        histograms and edges of ``NightShape``.
    """
    found: dict[str, dict[str, float]] = {}
    edges: dict[str, list[float]] = {}
    names = catalog.category_names
    if len(names):
        by_name = summed(catalog.categories.values, shown[catalog.categories.row], len(names))
        found[Message("category of shown items")] = _largest(names, by_name)
    providers, code = np.unique(catalog.provider, return_inverse=True)
    if len(providers) > 1:
        found[Message("provider of shown items")] = _largest(
            providers, summed(code, shown, len(providers))
        )
    for attribute, value in catalog.attributes.items():
        name, known = Message("{attribute} of shown items", attribute=attribute), np.isfinite(value)
        cuts = list(usual_edges.get(name) or deciles(value[known], shown[known]))
        edges[name] = cuts
        found[name] = {str(k): float(c) for k, c in enumerate(binned(value, shown, cuts))}
    return found, edges


def item_groups(catalog: Catalog, offered: Floats) -> ItemGroups:
    """Items by category, provider and tenths of each attribute, for the check of their shows.

    Args:
        catalog: the items.
        offered: slots that could show each, float64, shape (items,); never what was shown.
    """
    labels: list[str] = []
    items: list[NDArray[np.int64]] = []
    groups: list[NDArray[np.int64]] = []

    def add(names: Sequence[str], item: NDArray[np.int64], group: NDArray[np.int64]) -> None:
        items.append(item)
        groups.append(group + len(labels))
        labels.extend(names)

    every = np.arange(len(catalog))
    categories = catalog.categories
    add(
        [f"category {n}" for n in catalog.category_names],
        categories.row,
        categories.values.astype(np.int64),
    )
    providers, code = np.unique(catalog.provider, return_inverse=True)
    if len(providers) > 1:
        add([f"provider {p or 'none'}" for p in providers], every, code)
    for name, value in catalog.attributes.items():
        known = np.flatnonzero(np.isfinite(value) & (offered > 0))
        cuts = deciles(value[known], offered[known])
        place = np.searchsorted(np.array(cuts, np.float64), value[known], side="left")
        add([f"{name} {bin_name(k, cuts)}" for k in range(len(cuts) + 1)], known, place)
    flat = np.concatenate(items)
    return ItemGroups(np.array(labels, object), catalog.item_id[flat], np.concatenate(groups))


def bin_name(k: int, edges: Sequence[float]) -> str:
    """The bin ``edges[k - 1] < x <= edges[k]`` in words."""
    if not edges:
        return Message("any")
    if k == 0:
        return Message("up to {high:g}", high=edges[0])
    if k == len(edges):
        return Message("above {low:g}", low=edges[-1])
    return Message("above {low:g} up to {high:g}", low=edges[k - 1], high=edges[k])


def drifts(tonight: NightShape, trailing: Sequence[NightShape]) -> dict[str, Drift]:
    """Drift of every feature and rate that at least four trailing nights hold, by its name."""
    found = {}
    for name, counts in tonight.histograms.items():
        same = [t.histograms[name] for t in trailing if _comparable(tonight, t, name)]
        table = _aligned([counts, *same])
        drift = histogram_drift(table[0], list(table[1:]))
        if drift is not None:
            found[name] = drift
    for name, rate in tonight.rates.items():
        drift = rate_drift(rate, [t.rates[name] for t in trailing if name in t.rates])
        if drift is not None:
            found[rate_name(name)] = drift
    return found


def rate_name(event: str) -> str:
    """Name of an event's rate among the drifts."""
    return Message("rate of {event}", event=event)


def moved_most(
    counts: Mapping[str, float], trailing: Sequence[Mapping[str, float]]
) -> tuple[str, float, float]:
    """The label whose share moved most, its share tonight and on the trailing nights."""
    labels = sorted({k for n in (counts, *trailing) for k in n})
    now = np.array([counts.get(k, 0.0) for k in labels])
    before = np.array([sum(t.get(k, 0.0) for t in trailing) for k in labels])
    p, r = now / max(now.sum(), 1.0), before / max(before.sum(), 1.0)
    k = int(np.argmax(np.abs(p - r)))
    return labels[k], float(p[k]), float(r[k])


def _comparable(tonight: NightShape, night: NightShape, name: str) -> bool:
    same_edges = list(tonight.edges.get(name, ())) == list(night.edges.get(name, ()))
    return name in night.histograms and same_edges


def _aligned(nights: Sequence[Mapping[str, float]]) -> Floats:
    """Counts by label, one row a night; labels with few of all counts are one column."""
    labels = sorted({k for n in nights for k in n})
    table = np.array([[n.get(k, 0.0) for k in labels] for n in nights])
    total = table.sum(axis=0)
    small = total < _SMALLEST_SHARE * total.sum()
    if small.sum() < 2:
        return table
    return np.column_stack([table[:, ~small], table[:, small].sum(axis=1)])


def _largest(names: NDArray[np.object_], counts: Floats) -> dict[str, float]:
    order = np.argsort(-counts, kind="stable")
    found = {str(names[k]): float(counts[k]) for k in order[:_MOST_LABELS] if counts[k] > 0}
    rest = float(counts[order[_MOST_LABELS:]].sum())
    if rest:
        found[_OTHER] = found.get(_OTHER, 0.0) + rest
    return found
