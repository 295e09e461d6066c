"""Several ensembles of one shape asked in one pass: a tuned policy's and those of its anchors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions, Ragged
from mrlm.bandit_log.distinct_pairs import DistinctPairs, distinct_pairs
from mrlm.bandit_log.known_rewards import category_novelty
from mrlm.bandit_log.last_call import LastCall
from mrlm.bandit_log.later_slot import LaterSlot
from mrlm.behaviour.ensemble.calibration import HeadCalibrations
from mrlm.behaviour.ensemble.ensemble import Ensemble
from mrlm.behaviour.ensemble.stack_uncertainty import ItemsOpen, StackUncertainty
from mrlm.behaviour.ensemble.user_states import UserRead, UserStates
from mrlm.behaviour.features.item_factors import ItemFactors
from mrlm.behaviour.features.pair_features import (
    KERNELS,
    HistoryRead,
    PairsRead,
    dense_columns,
    history_read,
    kernels_of,
    places_and_scenes,
    slot_features,
)
from mrlm.behaviour.features.served_features import ServedFeatures
from mrlm.behaviour.features.space import ItemTable, item_table
from mrlm.behaviour.features.taste import Posterior, loadings_of, taste_of, tastes_for, tastes_of
from mrlm.behaviour.language.tuned_model import language_outputs
from mrlm.behaviour.networks.forward import KEPT_ITEMS, FirstPart, PairForward, pieces
from mrlm.embeddings.user_state import Entries, Kernels, attention_features

Floats = NDArray[np.floating]
Places = NDArray[np.int64]
# Scenes and positions of which the first layer's part is kept.
_PLACES = 256
# Pairs whose first layer is kept however often they are asked about, as those of a request are, and
# how often so many more are asked about that it is kept too.
_KEPT_PAIRS, _OFTEN = 1 << 10, 1.5


@dataclass(frozen=True)
class _Items:
    """One catalogue as m models of k members see it; row c is item c.

    Attributes:
        tables: of each model's space, in double precision.
        vectors: ``ItemTable.vectors`` of each, shape (m, items, width).
        kernels: how candidates attend by text and by categories.
        open: what uncertainty reads of it, by model.
        projected: shape (m k, items, projection); None for a catalogue that is too large to keep.
        first: what the first layer makes of an item at the top of a list, (m k, items, hidden).
        loading: by all factors, (m k objectives, items, factors).
    """

    tables: tuple[ItemTable, ...]
    vectors: Floats
    kernels: tuple[Kernels, Kernels]
    open: dict[int, ItemsOpen]
    projected: Floats | None = None
    first: Floats | None = None
    loading: Floats | None = None


@dataclass(frozen=True, eq=False)
class PairsOfStack:
    """What was read of the pairs of decisions whatever the slot.

    Attributes:
        pairs: of the decisions.
        user: what was read of their states.
        state: int64, shape (P,), the state of each pair.
        attention: shape (m, P, features).
        own: tastes, and what language models say, of each member, shape (m, k, P, columns).
        projected, first: of items, see ``_Items``.
        item: int64, shape (P,), row of these of each pair.
        open: variance of what users and items have of their own, float64, shape (m, P).
    """

    pairs: DistinctPairs
    user: UserRead
    state: Places
    attention: Floats
    own: Floats
    projected: Floats
    first: Floats
    item: Places
    open: NDArray[np.float64]


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
    _users: LastCall[Catalog, UserStates] = field(default_factory=LastCall, init=False, repr=False)
    _items: LastCall[Catalog, _Items] = field(default_factory=LastCall, init=False, repr=False)
    _places: dict[tuple[str, int], Floats] = field(default_factory=dict, init=False, repr=False)

    def values(self, decisions: Decisions) -> NDArray[np.float64]:
        """Expected reward of each head, and the uncertainty, of each model, (m, N, heads + 1).

        Made for decisions that fit into memory at once, see ``Decisions.blocks``.
        """
        return self._valued.of(decisions, self._values)

    def _values(self, decisions: Decisions) -> NDArray[np.float64]:
        outputs, variance = self._outputs(decisions)
        heads = self.calibrations(outputs.reshape(len(self.models), -1, *outputs.shape[1:]))
        values = np.empty((len(heads), heads.shape[2], heads.shape[3] + 1))
        expected = np.divide(np.add.reduce(heads, axis=1), heads.shape[1], out=values[..., :-1])
        values[..., -1] = self.uncertainty.deviation(heads, expected, variance)
        values.flags.writeable = False
        return values

    def _outputs(self, decisions: Decisions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Outputs of all members, scenes' own layers included, (m k, N, heads).

        And the variance of the north star's that posteriors tell, (m, N).
        """
        many, _, heads = self.networks.head_bias.shape
        out = np.empty((many, len(decisions.candidates.values), heads))
        read, _, pair = self._places_in_read(decisions)
        variance = read.open.take(pair, axis=1)
        code = [None if m.scenes is None else m.scenes.code(decisions.scene) for m in self.models]
        row = decisions.candidates.row
        for rows, hidden in self.hidden(decisions):
            variance[:, rows] += self.uncertainty.shared(hidden)
            found = hidden @ self.networks.head
            for j, (model, of_scene) in enumerate(zip(self.models, code, strict=True)):
                if model.scenes is not None and of_scene is not None:
                    k = len(model.members)
                    own = slice(j * k, (j + 1) * k)
                    found[own] += model.scenes.added(hidden[own], of_scene[row[rows]])
            out[:, rows] = found
        out += self.networks.head_bias
        return out, variance

    def hidden(self, decisions: Decisions) -> Iterator[tuple[slice, Floats]]:
        """Places of some candidates and their last hidden layer, negated, (m k, places, hidden)."""
        read, state, pair = self._places_in_read(decisions)
        by_decision = read.user.by_state.take(state, axis=1) + self._of_places(decisions)
        row, networks = decisions.candidates.row, self.networks
        novelty = self._novelty_below(decisions)
        for rows, hidden in self._first_layers(read, pair):
            hidden += by_decision if len(state) == 1 else by_decision.take(row[rows], axis=1)
            if novelty is not None:
                hidden += novelty[:, rows] @ self._columns.novelty.weight
            yield rows, networks.activate(hidden)

    def features(self, decisions: Decisions, place: int) -> ServedFeatures:
        """What one of the models reads, its members' own columns in their mean, for learners."""
        read, state, pair = self._places_in_read(decisions)
        states, catalog = read.pairs.states, decisions.catalog
        codes, model = states.candidates.values, self.models[place]
        history = HistoryRead(
            Entries(read.user.history.entries.items, read.user.history.entries.values[place]),
            read.user.history.moments[place],
            read.user.history.user_vectors[place],
        )
        found = PairsRead(codes.astype(np.int64), read.state, read.attention[place], history)
        table = self._items.of(catalog, self._bound).tables[place]
        features = slot_features(decisions, state, pair, found, model.space, table)
        statistics = np.array([m.statistics.table(catalog)[codes] for m in model.members])
        own = np.concatenate([statistics, read.own[place]], axis=2, dtype=np.float64)
        return features.with_pair_columns(own.mean(axis=0))

    def _places_in_read(self, decisions: Decisions) -> tuple[PairsOfStack, Places, Places]:
        """What was read, and of each decision its state and of each candidate its pair in it."""
        if not isinstance(decisions, LaterSlot):
            read = self._read.of(decisions, self._read_pairs)
            return read, read.pairs.state, read.pairs.pair
        read = self._read.of(decisions.first, self._read_pairs)
        pairs = read.pairs
        return read, pairs.state[decisions.of_decision], pairs.pair[decisions.of_candidate]

    def _first_layers(self, read: PairsOfStack, pair: Places) -> Iterator[tuple[slice, Floats]]:
        """Places of some candidates, and what the first layer makes of their pairs."""
        networks, pairs = len(self.networks.head), len(read.item)
        # Of many pairs that are asked about once or so, what is made is not worth its memory.
        once = pairs > _KEPT_PAIRS and len(pair) < _OFTEN * pairs
        layer = None if once else self._layer.of(read, self._first_layer)
        for rows in pieces(len(pair), networks):
            if layer is None:
                yield rows, self._of_pairs(read, pair[rows])
            else:
                yield rows, layer.take(pair[rows], axis=1)

    def _first_layer(self, read: PairsOfStack) -> Floats:
        """Of all pairs, (m k, P, hidden)."""
        networks, pairs = self.networks, len(read.item)
        out = np.empty((len(networks.head), pairs, networks.first.shape[2]), self.precision)
        for rows in pieces(pairs, len(networks.head)):
            out[:, rows] = self._of_pairs(read, np.arange(pairs)[rows])
        return out

    def _of_pairs(self, read: PairsOfStack, pairs: Places) -> Floats:
        """What the first layer makes of some pairs, with its bias, (m k, pairs, hidden)."""
        columns, item, users = self._columns, read.item[pairs], read.user.users
        projection = users.shape[2]
        of_user = users if users.shape[1] == 1 else users.take(read.state[pairs], axis=1)
        x = np.empty((len(users), len(item), columns.pair.shape[1]), self.precision)
        np.multiply(read.projected.take(item, axis=1), of_user, out=x[..., :projection])
        by_model = x.reshape(*read.own.shape[:2], *x.shape[1:])[..., projection:]
        attention = by_model[..., : read.attention.shape[2]]
        attended = read.attention.take(pairs, axis=1).astype(self.precision, copy=False)
        np.maximum(attended[:, None], columns.lowest, out=attention)
        np.minimum(attention, columns.highest, out=attention)
        if read.own.shape[3]:
            own = by_model[..., read.attention.shape[2] :]
            known = read.own.take(pairs, axis=2).astype(self.precision, copy=False)
            np.maximum(known, columns.own_lowest, out=own)
            np.minimum(own, columns.own_highest, out=own)
        hidden = x @ columns.pair
        hidden += read.first.take(item, axis=1)
        return np.asarray(hidden, self.precision)

    def _novelty_below(self, decisions: Decisions) -> Floats | None:
        """Novelty as networks read it, less that at the top, (m k, N, 1); None at the top."""
        if len(decisions.above.values) == 0:
            return None
        part, codes = self._columns.novelty, decisions.candidates.values
        now = part.clipped(category_novelty(decisions)[:, None])
        return now - part.clipped(_at_the_top(decisions.catalog)[codes])

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
        return self._columns.places.of(self._by_member(read))

    def _by_member(self, values: Floats) -> Floats:
        """What each model reads, for each of its members, (m, ...) to (m k, ...)."""
        return np.repeat(values, self._members, axis=0)

    def _read_pairs(self, decisions: Decisions) -> PairsOfStack:
        pairs = distinct_pairs(decisions)
        states, codes = pairs.states, pairs.states.candidates.values
        items = self._items.of(states.catalog, self._bound)
        if len(states) == 1:
            user = self._users.of(states.catalog, _nobody).of(states, self._read_user)
        else:
            user = self._read_user(states)
        seen, item = self.models[0].space.counts_ignored, codes.astype(np.int64)
        attention = attention_features(
            states.candidates, user.history.entries, items.kernels, seen=seen
        )
        projected, first = items.projected, items.first
        if projected is None or first is None:
            asked, item = np.unique(codes, return_inverse=True)
            projected, first = self._projected(states.catalog, items.tables, asked)
        own = self._own(states, user.taste, items)
        state = states.candidates.row
        entries = user.history.entries.items.lengths[state]
        open_ = self.uncertainty.own(items.open, codes, entries)
        return PairsOfStack(pairs, user, state, attention, own, projected, first, item, open_)

    def _read_user(self, states: Decisions) -> UserRead:
        items, seen = self._items.of(states.catalog, self._bound), states.looked_back_on()
        values = np.array(
            [m.space.scaled_rewards(states.histories, seen.values) for m in self.models],
            np.float64,
        )
        entries = Entries(Ragged(seen.offsets, states.histories.item[seen.values]), values)
        history = history_read(entries, items.vectors)
        moments = self._columns.moments.of(self._by_member(history.moments))
        vectors = history.user_vectors.astype(self.precision, copy=False)
        users = self._by_member(vectors) @ self.networks.user
        taste = self._posterior(states) if len(states) == 1 else None
        return UserRead(history, moments, users, taste)

    def _posterior(self, state: Decisions) -> Posterior:
        """Of one state's tastes, by the factors of all members."""
        parts = [taste_of(state, m.space, _factors(m), np.float64) for m in self.models]
        return Posterior(
            np.concatenate([p.mean for p in parts], axis=1),
            np.concatenate([p.covariance for p in parts], axis=1),
        )

    def _own(self, states: Decisions, taste: Posterior | None, items: _Items) -> Floats:
        """Tastes, and what language models say, of each member, (m, k, P, columns)."""
        shape = (len(self.models), self._members, len(states.candidates.values))
        if taste is not None:
            loading = self._loadings(states.catalog, states.candidates.values, items)
            every = tastes_for(taste, loading)
        else:
            every = np.concatenate(
                [tastes_of(states, m.space, _factors(m), np.float64) for m in self.models],
                axis=1,
            )
        models, members, many = shape
        by_member = every.reshape(
            many, models, members, every.shape[1] // (models * members)
        ).transpose(1, 2, 0, 3)
        said = [
            language_outputs(states, [f.language for f in m.members if f.language])
            for m in self.models
            if m.members[0].language
        ]
        if not said:
            return by_member
        return np.concatenate([by_member, np.array(said)], axis=3)

    def _loadings(self, catalog: Catalog, codes: NDArray[np.int32], items: _Items) -> Floats:
        """Of items by all factors, (factor models, items, factors)."""
        if items.loading is not None:
            return items.loading.take(codes, axis=1)
        factors = [f for m in self.models for f in _factors(m)]
        return loadings_of(factors, catalog, codes, np.float64)

    def _bound(self, catalog: Catalog) -> _Items:
        tables = tuple(item_table(m.space, catalog, np.float64) for m in self.models)
        text, category, vectors = (
            np.array([getattr(t, x) for t in tables]) for x in ("text", "category", "vectors")
        )
        kernels = kernels_of(text), kernels_of(category)
        open_ = self.uncertainty.items(self.models, tables, catalog)
        bound = _Items(tables, vectors, kernels, open_)
        if len(catalog) > KEPT_ITEMS:
            return bound
        every = np.arange(len(catalog))
        projected, first = self._projected(catalog, tables, every)
        loading = self._loadings(catalog, every.astype(np.int32), bound)
        return replace(bound, projected=projected, first=first, loading=loading)

    def _projected(
        self, catalog: Catalog, tables: Sequence[ItemTable], codes: NDArray[np.integer]
    ) -> tuple[Floats, Floats]:
        """Projections of items, and what the first layer makes of them at the top of a list."""
        columns = self._columns
        vectors, attributes = (
            self._by_member(np.array([getattr(t, x)[codes] for t in tables]))
            for x in ("vectors", "attributes")
        )
        statistics = np.array(
            [f.statistics.table(catalog)[codes] for m in self.models for f in m.members]
        )
        projected, first = self.networks.project(vectors)
        first += columns.attributes.of(attributes)
        first += columns.novelty.of(_at_the_top(catalog)[codes])
        first += columns.statistics.of(statistics)
        return projected, first

    @property
    def _members(self) -> int:
        return len(self.models[0].members)

    @cached_property
    def networks(self) -> PairForward:
        """Those of all members of all models."""
        return PairForward.of([f.network for m in self.models for f in m.members], self.precision)

    @cached_property
    def uncertainty(self) -> StackUncertainty:
        """That of all models."""
        return StackUncertainty.of(self.models, self.precision)

    @cached_property
    def calibrations(self) -> HeadCalibrations:
        """Those of all heads of all models."""
        return HeadCalibrations.of([m.calibration for m in self.models])

    @cached_property
    def _columns(self) -> _Columns:
        return _Columns.of(self.networks, self.models[0])


@dataclass(frozen=True)
class _Columns:
    """The first layer by what its columns say.

    Attributes:
        pair: of the product of item and user, of attention and of ``PairsOfStack.own``, shape
            (m k, columns, hidden).
        lowest, highest: of attention, shape (m, k, 1, columns).
        own_lowest, own_highest: of what members have of their own.
        moments, places, attributes, statistics, novelty: the other parts.
    """

    pair: Floats
    lowest: Floats
    highest: Floats
    own_lowest: Floats
    own_highest: Floats
    moments: FirstPart
    places: FirstPart
    attributes: FirstPart
    statistics: FirstPart
    novelty: FirstPart

    @classmethod
    def of(cls, networks: PairForward, model: Ensemble) -> _Columns:
        """Of the networks of models like this one."""
        space, k = model.space, len(model.members)
        rewards, heads = len(space.history), len(model.heads)
        attention = KERNELS * (2 * rewards + space.counts_ignored)
        moments, decision = 3 * rewards, 3 * rewards + 1 + len(space.scenes)
        pair, of_decision, novelty = dense_columns(attention, decision, len(space.attributes))
        own = np.arange(int(novelty[-1]) + 1, networks.dense.shape[1])
        attended, members = networks.part(pair[:attention]), networks.part(own[heads + 1 :])

        def ends(part: FirstPart) -> tuple[Floats, Floats]:
            shape = (len(networks.head) // k, k, *part.lowest.shape[1:])
            return part.lowest.reshape(shape), part.highest.reshape(shape)

        return cls(
            np.concatenate([networks.product, attended.weight, members.weight], axis=1),
            *ends(attended),
            *ends(members),
            moments=networks.part(of_decision[:moments]),
            places=networks.part(of_decision[moments:]),
            attributes=networks.part(pair[attention:]),
            statistics=networks.part(own[: heads + 1]),
            novelty=networks.part(novelty),
        )


def stack_key(model: Ensemble) -> tuple[object, ...]:
    """What ensembles agree in that are computed in one pass."""
    space, members = model.space, model.members
    return (
        model.heads,
        model.north_star,
        len(members),
        tuple(tuple(t.shape) for t in members[0].network.state_dict().values()),
        tuple(f.loading.shape[1] for f in members[0].factors),
        members[0].language is None,
        tuple(c.binary for c in model.calibration),
        space.components.shape[1],
        len(space.categories),
        len(space.attributes),
        len(space.scenes),
        len(space.history),
        space.counts_ignored,
    )


def _factors(model: Ensemble) -> tuple[ItemFactors, ...]:
    return tuple(f for m in model.members for f in m.factors)


def _nobody(catalog: Catalog) -> UserStates:
    return UserStates()


def _at_the_top(catalog: Catalog) -> NDArray[np.float64]:
    """``category_novelty`` of every item where nothing is above it, (items, 1)."""
    return (catalog.categories.lengths > 0).astype(np.float64)[:, None]
