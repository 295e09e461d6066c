"""What several ensembles read of a catalogue, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.last_call import LastCall
from mrlm.behaviour.ensemble.stack_parameters import StackParameters, factors_of
from mrlm.behaviour.ensemble.stack_uncertainty import ItemsOpen
from mrlm.behaviour.features.pair_features import kernels_of
from mrlm.behaviour.features.space import ItemTable, item_table, item_vectors
from mrlm.behaviour.features.taste import factors_by_item
from mrlm.behaviour.networks.forward import KEPT_ITEMS
from mrlm.behaviour.sequence.event_reader import EventReader
from mrlm.embeddings.user_state import Kernels

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ItemsOfStack:
    """One catalogue as m models of k members see it; row c is item c.

    What all networks read of an item lies together: the items of a request are far apart, and each
    comes from memory once.

    Attributes:
        tables: of each model's space, in double precision.
        vectors: ``ItemTable.vectors`` of each, shape (m, items, width).
        kernels: how candidates attend by text and by categories.
        open: what uncertainty reads of it.
        projected: shape (items, m k, projection); None for a catalogue that is too large to keep.
        first: what the first layer makes of an item at the top of a list, (items, m k, hidden).
        factors: ``factors_by_item`` under those of all members, (items, m k objectives,
            factors + 1), float32 as they were learned.
        events: what networks over entries read of items, (items, m k, width).
    """

    tables: tuple[ItemTable, ...]
    vectors: Floats
    kernels: tuple[Kernels, Kernels]
    open: ItemsOpen
    projected: Floats | None = None
    first: Floats | None = None
    factors: Floats | None = None
    events: Floats | None = None


@dataclass(frozen=True, eq=False)
class ItemReader:
    """Reads catalogues for a stack; what was read of the last one is kept.

    Attributes:
        stack: for whose networks it reads.
    """

    stack: StackParameters
    _kept: LastCall[Catalog, ItemsOfStack] = field(default_factory=LastCall, init=False, repr=False)

    def of(self, catalog: Catalog) -> ItemsOfStack:
        """What is read of a catalogue."""
        return self._kept.of(catalog, self._bound)

    def _bound(self, catalog: Catalog) -> ItemsOfStack:
        tables = tuple(item_table(m.space, catalog, np.float64) for m in self.stack.models)
        text, category, vectors = (
            np.array([getattr(t, x) for t in tables]) for x in ("text", "category", "vectors")
        )
        kernels = kernels_of(text), kernels_of(category)
        open_ = self.stack.uncertainty.items(self.stack.models, tables, catalog)
        bound = ItemsOfStack(tables, vectors, kernels, open_)
        if len(catalog) > KEPT_ITEMS:
            return bound
        every = np.arange(len(catalog))
        projected, first = self.projected(catalog, tables, every)
        reader = self.stack.events
        factors = _by_item(self.factors(catalog, every, bound)).astype(np.float32)
        events = _by_item(self.events(reader, catalog, every, bound)) if reader else None
        return replace(bound, projected=projected, first=first, factors=factors, events=events)

    def projected(
        self, catalog: Catalog, tables: Sequence[ItemTable], codes: NDArray[np.integer]
    ) -> tuple[Floats, Floats]:
        """``ItemsOfStack.projected`` and ``first`` of some items."""
        layer = self.stack.first_layer
        vectors, attributes = (
            self.stack.by_member(np.array([getattr(t, x)[codes] for t in tables]))
            for x in ("vectors", "attributes")
        )
        statistics = np.array(
            [f.statistics.table(catalog)[codes] for m in self.stack.models for f in m.members]
        )
        projected, first = self.stack.networks.project(vectors)
        first += layer.attributes.of(attributes)
        first += layer.novelty.of(at_the_top(catalog)[codes])
        first += layer.statistics.of(statistics)
        return _by_item(projected), _by_item(first)

    def factors(self, catalog: Catalog, codes: NDArray[np.integer], items: ItemsOfStack) -> Floats:
        """``factors_by_item`` under those of all members, in double precision."""
        if items.factors is not None:
            found = items.factors.take(codes, axis=0).astype(np.float64)
            return np.moveaxis(found, -2, 0)
        every = [f for m in self.stack.models for f in factors_of(m)]
        return factors_by_item(every, catalog, codes, np.float64)

    def events(
        self,
        reader: EventReader,
        catalog: Catalog,
        codes: NDArray[np.integer],
        items: ItemsOfStack,
    ) -> Floats:
        """What networks over entries read of items, (m k, items, width)."""
        if items.events is not None:
            return items.events.take(codes, axis=0).swapaxes(0, 1)
        vectors = [item_vectors(t) for t in items.tables for _ in range(self.stack.members)]
        return reader.items(catalog, vectors, codes)


def _by_item(found: Floats) -> Floats:
    """(networks, items, ...) to (items, networks, ...), as it lies in memory."""
    return np.ascontiguousarray(found.swapaxes(0, 1))


def at_the_top(catalog: Catalog) -> NDArray[np.float64]:
    """``category_novelty`` of every item where nothing is above it, (items, 1)."""
    return (catalog.categories.lengths > 0).astype(np.float64)[:, None]
