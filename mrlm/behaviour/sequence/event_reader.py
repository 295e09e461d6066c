"""Several fitted networks asked in one pass: each list of entries is read once for all."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions
from mrlm.bandit_log.histories import Histories
from mrlm.bandit_log.last_call import LastCall
from mrlm.behaviour.features.space import FeatureSpace, item_table, item_vectors
from mrlm.behaviour.sequence.event_forward import EventForward, EventsRead
from mrlm.behaviour.sequence.event_lists import EventLists
from mrlm.behaviour.sequence.sequence_model import SequenceModel

Floats = NDArray[np.floating]
ItemsOf = Callable[[NDArray[np.integer]], Floats]
"""What k networks read of items by code, shape (k, codes, width)."""


@dataclass(frozen=True, eq=False)
class EventReader:
    """k networks that were fitted with the same settings.

    Attributes:
        models: whose they are.
        precision: of what is computed.
    """

    models: tuple[SequenceModel, ...]
    precision: type[np.floating] = np.float64

    @cached_property
    def networks(self) -> EventForward:
        """Those of all models."""
        return EventForward.of([m.network for m in self.models], self.precision)

    def items(
        self, catalog: Catalog, vectors: Sequence[Floats], codes: NDArray[np.integer]
    ) -> Floats:
        """What the networks read of items, shape (k, codes, width).

        Args:
            catalog: has the items.
            vectors: ``item_vectors`` of it by each model's space, k of them.
            codes: of the items.
        """
        bucket = buckets_of(catalog.item_id[codes], self.models[0].settings.buckets)
        own = np.stack([v[codes] for v in vectors])
        statistics = np.stack([m.statistics.table(catalog)[codes] for m in self.models])
        return self.networks.items(own, statistics, bucket)

    def read(self, state: Decisions, items: ItemsOf) -> EventsRead:
        """What is made of the entries of a single decision, whatever is offered."""
        lists = EventLists.of(state, self.models[0].settings.entries)
        return self._list(state.histories, lists.places[0], items)

    def outputs(self, states: Decisions, items: ItemsOf, read: EventsRead | None = None) -> Floats:
        """Logits of binary objectives and standardised values of the others, (k, P, outputs).

        Args:
            states: distinct ones, with P candidates in all.
            items: what is read of items.
            read: of the only state, where it was read before.
        """
        lists = EventLists.of(states, self.models[0].settings.entries)
        offsets, codes = states.offsets, states.candidates.values
        outputs = self.networks.arrays["head.bias"].shape[2]
        out = np.empty((len(self.models), len(codes), outputs), self.precision)
        of_list = np.argsort(lists.of_state, kind="stable")
        last = -1
        for i in of_list.tolist():
            if lists.of_state[i] != last:
                last = int(lists.of_state[i])
                known = read or self._list(states.histories, lists.places[last], items)
            own = slice(int(offsets[i]), int(offsets[i + 1]))
            out[:, own] = self.networks.outputs(known, int(lists.seen[i]), items(codes[own]))
        return out

    def _list(self, histories: Histories, places: NDArray[np.int64], items: ItemsOf) -> EventsRead:
        values = np.stack([entry_values(histories, m.space, places) for m in self.models])
        return self.networks.read(items(histories.item[places]), values)


@dataclass(frozen=True, eq=False)
class MemberReader:
    """One network in float32, which is enough to learn from; the last catalogue is kept.

    Attributes:
        model: whose it is.
    """

    model: SequenceModel
    _items: LastCall[Catalog, Floats] = field(default_factory=LastCall, init=False, repr=False)

    def outputs(self, states: Decisions) -> Floats:
        """``EventReader.outputs`` of distinct states, (P, outputs)."""
        items = self._items.of(states.catalog, self._every_item)
        found: Floats = self._reader.outputs(states, lambda codes: items[:, codes])[0]
        return found

    @cached_property
    def _reader(self) -> EventReader:
        return EventReader((self.model,), np.float32)

    def _every_item(self, catalog: Catalog) -> Floats:
        vectors = item_vectors(item_table(self.model.space, catalog))
        return self._reader.items(catalog, [vectors], np.arange(len(catalog)))


def entry_values(
    histories: Histories, space: FeatureSpace, places: NDArray[np.int64]
) -> NDArray[np.float32]:
    """What was known of entries: scaled rewards, 0 where unknown, then whether each was known.

    Of an entry that was shown and left alone nothing was, or what ``missing`` says of it; float32,
    shape (places, 2 · rewards of the history).
    """
    values = space.scaled_rewards(histories, places)
    known = np.isfinite(values)
    return np.concatenate([np.where(known, values, 0.0), known], axis=1, dtype=np.float32)


def buckets_of(item_id: NDArray[np.object_], buckets: int) -> NDArray[np.int64]:
    """The row that each identifier is hashed into, by CRC-32, int64, shape (items,)."""
    return np.array([zlib.crc32(str(i).encode()) % buckets for i in item_id], np.int64)
