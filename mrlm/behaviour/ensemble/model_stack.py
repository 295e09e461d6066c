"""Several ensembles of one shape asked in one pass: a tuned policy's and those of its anchors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.bandit_log.known_rewards import category_novelty
from mrlm.bandit_log.last_call import LastCall
from mrlm.bandit_log.later_slot import LaterSlot
from mrlm.behaviour.ensemble.ensemble import Ensemble
from mrlm.behaviour.ensemble.stack_items import ItemReader, at_the_top
from mrlm.behaviour.ensemble.stack_pairs import PairReader, PairsOfStack
from mrlm.behaviour.ensemble.stack_parameters import StackParameters
from mrlm.behaviour.features.pair_features import (
    HistoryRead,
    PairsRead,
    places_and_scenes,
    slot_features,
)
from mrlm.behaviour.features.served_features import ServedFeatures
from mrlm.behaviour.networks.forward import pieces
from mrlm.embeddings.user_state import Entries

Floats = NDArray[np.floating]
Places = NDArray[np.int64]
# Scenes and positions of which the first layer's part is kept.
_PLACES = 256
# Pairs whose first layer is kept however often they are asked about, as those of a request are, and
# how often so many more are asked about that it is kept too.
_KEPT_PAIRS, _OFTEN = 1 << 10, 1.5


@dataclass(frozen=True, eq=False)
class ModelStack:
    """m ensembles of k members each, of one shape: what they read and compute is one array.

    A request costs as many calls for all as for one. What was read last is kept while its decisions
    live, so the slots of a list share what was read for the first one; and so is what was read of
    the last catalogue, and of users over it who came alone: a request costs what it asks for, not
    what there is.

    Attributes:
        models: for which ``stack_key`` is the same.
        precision: of the networks; what they read is float64.
    """

    models: tuple[Ensemble, ...]
    precision: type[np.floating] = np.float64
    _valued: LastCall[Decisions, NDArray[np.float64]] = field(
        default_factory=LastCall, init=False, repr=False
    )
    _read: LastCall[Decisions, PairsOfStack] = field(
        default_factory=LastCall, init=False, repr=False
    )
    _layer: LastCall[PairsOfStack, Floats] = field(default_factory=LastCall, init=False, repr=False)
    _places: dict[tuple[str, int], Floats] = field(default_factory=dict, init=False, repr=False)

    def values(self, decisions: Decisions) -> NDArray[np.float64]:
        """Expected reward of each head, and the uncertainty, of each model, (m, N, heads + 1).

        Made for decisions that fit into memory at once, see ``Decisions.blocks``.
        """
        return self._valued.of(decisions, self._values)

    def _values(self, decisions: Decisions) -> NDArray[np.float64]:
        outputs, variance = self._outputs(decisions)
        many = outputs.shape[2]
        heads = self.parameters.calibrations(
            outputs.reshape(len(outputs), len(self.models), -1, many)
        )
        values = np.empty((len(self.models), many, len(heads) + 1))
        expected = np.add.reduce(heads, axis=2)
        expected /= heads.shape[2]
        values[..., :-1] = np.moveaxis(expected, 0, 2)
        values[..., -1] = self.parameters.uncertainty.deviation(heads, expected, variance)
        values.flags.writeable = False
        return values

    def _outputs(self, decisions: Decisions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Outputs of all members, scenes' own layers included, (heads, m k, N).

        And the variance of the north star's that posteriors tell, (m, N).
        """
        many, _, heads = self.parameters.networks.head_bias.shape
        out = np.empty((heads, many, len(decisions.candidates.values)))
        read, _, pair = self._places_in_read(decisions)
        variance = read.open.copy() if pair is None else read.open.take(pair, axis=1)
        code = [None if m.scenes is None else m.scenes.code(decisions.scene) for m in self.models]
        row = decisions.candidates.row
        for rows, hidden in self.hidden(decisions):
            variance[:, rows] += self.parameters.uncertainty.shared(hidden)
            found = hidden @ self.parameters.networks.head
            for j, (model, of_scene) in enumerate(zip(self.models, code, strict=True)):
                if model.scenes is not None and of_scene is not None:
                    k = len(model.members)
                    own = slice(j * k, (j + 1) * k)
                    found[own] += model.scenes.added(hidden[own], of_scene[row[rows]])
            out[..., rows] = np.moveaxis(found, 2, 0)
        out += np.moveaxis(self.parameters.networks.head_bias, 2, 0)
        return out, variance

    def hidden(self, decisions: Decisions) -> Iterator[tuple[slice, Floats]]:
        """Places of some candidates and their last hidden layer, negated, (m k, places, hidden)."""
        read, state, pair = self._places_in_read(decisions)
        by_decision = read.user.by_state.take(state, axis=1) + self._of_places(decisions)
        row, networks = decisions.candidates.row, self.parameters.networks
        novelty = self._novelty_below(decisions)
        for rows, found in self._first_layers(read, pair):
            told = by_decision if len(state) == 1 else by_decision.take(row[rows], axis=1)
            # Not in place: what was found may be kept for the next slot.
            hidden = found + told
            if novelty is not None:
                hidden += novelty[:, rows] @ self.parameters.first_layer.novelty.weight
            yield rows, networks.activate(hidden)

    def features(self, decisions: Decisions, place: int) -> ServedFeatures:
        """What one of the models reads, its members' own columns in their mean, for learners."""
        read, state, pair = self._places_in_read(decisions)
        pair = read.pairs.pair if pair is None else pair
        states, catalog = read.pairs.states, decisions.catalog
        codes, model = states.candidates.values, self.models[place]
        history = HistoryRead(
            Entries(read.user.history.entries.items, read.user.history.entries.values[place]),
            read.user.history.moments[place],
            read.user.history.user_vectors[place],
        )
        found = PairsRead(codes.astype(np.int64), read.state, read.attention[place], history)
        table = self._items.of(catalog).tables[place]
        features = slot_features(decisions, state, pair, found, model.space, table)
        statistics = np.array([m.statistics.table(catalog)[codes] for m in model.members])
        own = np.concatenate([statistics, read.own[place]], axis=2, dtype=np.float64)
        return features.with_pair_columns(own.mean(axis=0))

    def _places_in_read(self, decisions: Decisions) -> tuple[PairsOfStack, Places, Places | None]:
        """What was read, and of each decision its state and of each candidate its pair in it.

        None where the candidates are the pairs, in their order, as those of one decision are.
        """
        if not isinstance(decisions, LaterSlot):
            read = self._read.of(decisions, self._pairs.read)
            return read, read.pairs.state, None if len(decisions) == 1 else read.pairs.pair
        read = self._read.of(decisions.first, self._pairs.read)
        pairs = read.pairs
        return read, pairs.state[decisions.of_decision], pairs.pair[decisions.of_candidate]

    def _first_layers(
        self, read: PairsOfStack, pair: Places | None
    ) -> Iterator[tuple[slice, Floats]]:
        """Places of some candidates, and what the first layer makes of their pairs."""
        networks, pairs = len(self.parameters.networks.head), len(read.item)
        many = pairs if pair is None else len(pair)
        # Of many pairs that are asked about once or so, what is made is not worth its memory.
        once = pairs > _KEPT_PAIRS and many < _OFTEN * pairs
        layer = None if once else self._layer.of(read, self._first_layer)
        for rows in pieces(many, networks):
            places = rows if pair is None else pair[rows]
            yield (
                rows,
                self._of_pairs(read, places) if layer is None else _taken(layer, places, axis=1),
            )

    def _first_layer(self, read: PairsOfStack) -> Floats:
        """Of all pairs, (m k, P, hidden)."""
        parts = pieces(len(read.item), len(self.parameters.networks.head))
        found = [self._of_pairs(read, rows) for rows in parts]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    def _of_pairs(self, read: PairsOfStack, pairs: Places | slice) -> Floats:
        """What the first layer makes of some pairs, with its bias, (m k, pairs, hidden)."""
        columns, item, users = self.parameters.first_layer, read.item[pairs], read.user.users
        product = read.projected.take(item, axis=0)
        product *= users if len(users) == 1 else users.take(read.state[pairs], axis=0)
        attention, own = _taken(read.attention, pairs, axis=1), _taken(read.own, pairs, axis=2)
        wide = attention.shape[2] + own.shape[3]
        x = np.empty((*own.shape[:2], len(item), wide), self.precision)
        attended, members = x[..., : attention.shape[2]], x[..., attention.shape[2] :]
        np.maximum(attention[:, None], columns.lowest, out=attended)
        np.minimum(attended, columns.highest, out=attended)
        if own.shape[3]:
            np.maximum(own, columns.own_lowest, out=members)
            np.minimum(members, columns.own_highest, out=members)
        hidden = product.swapaxes(0, 1) @ self.parameters.networks.product
        hidden += x.reshape(len(hidden), len(item), wide) @ columns.attended
        hidden += read.first.take(item, axis=0).swapaxes(0, 1)
        return np.asarray(hidden, self.precision)

    def _novelty_below(self, decisions: Decisions) -> Floats | None:
        """Novelty as networks read it, less that at the top, (m k, N, 1); None at the top."""
        if len(decisions.above.values) == 0:
            return None
        part, codes = self.parameters.first_layer.novelty, decisions.candidates.values
        now = part.clipped(category_novelty(decisions)[:, None])
        return now - part.clipped(at_the_top(decisions.catalog)[codes])

    def _of_places(self, decisions: Decisions) -> Floats:
        """What the first layer makes of positions and scenes, (m k, n, hidden)."""
        if len(decisions) != 1:
            return self._of_many_places(decisions)
        key = str(decisions.scene[0]), int(decisions.position[0])
        found = self._places.get(key)
        if found is None:
            if len(self._places) >= _PLACES:
                self._places.clear()
            found = self._places[key] = self._of_many_places(decisions)
        return found

    def _of_many_places(self, decisions: Decisions) -> Floats:
        read = np.array([places_and_scenes(decisions, m.space) for m in self.models])
        return self.parameters.first_layer.places.of(self.parameters.by_member(read))

    @cached_property
    def parameters(self) -> StackParameters:
        """What all models have learned."""
        return StackParameters(self.models, self.precision)

    @cached_property
    def _items(self) -> ItemReader:
        return ItemReader(self.parameters)

    @cached_property
    def _pairs(self) -> PairReader:
        return PairReader(self.parameters, self._items)


def _taken(values: Floats, places: Places | slice, axis: int) -> Floats:
    """``values`` at some places of an axis; those of a slice are not copied."""
    if isinstance(places, slice):
        return values[(slice(None),) * axis + (places,)]
    return values.take(places, axis=axis)
