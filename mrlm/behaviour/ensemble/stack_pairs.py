"""What several ensembles read of users and of pairs with candidates, in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions, Ragged
from mrlm.bandit_log.distinct_pairs import DistinctPairs, distinct_pairs
from mrlm.bandit_log.last_call import LastCall
from mrlm.behaviour.ensemble.stack_items import ItemReader, ItemsOfStack
from mrlm.behaviour.ensemble.stack_parameters import StackParameters, factors_of
from mrlm.behaviour.ensemble.user_states import UserRead, UserStates
from mrlm.behaviour.features.pair_features import history_read
from mrlm.behaviour.features.taste import (
    FactorsOf,
    Reading,
    taste_of,
    tastes_for,
    tastes_in,
)
from mrlm.behaviour.language.tuned_model import language_outputs
from mrlm.behaviour.sequence.event_reader import EventReader, ItemsOf
from mrlm.embeddings.user_state import Entries, attention_features

Floats = NDArray[np.floating]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PairsOfStack:
    """What was read of the pairs of decisions whatever the slot.

    Attributes:
        pairs: of the decisions.
        user: what was read of their states.
        state: int64, shape (P,), the state of each pair.
        attention: shape (m, P, features), in the precision of the networks.
        own: tastes, and what transformers say, of each member, shape (m, k, P, columns), in that
            precision too.
        projected, first: of items, see ``ItemsOfStack``.
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
class PairReader:
    """Reads the pairs of decisions for a stack; users over the last catalogue are kept.

    Attributes:
        stack: for whose networks it reads.
        items: reads the catalogues.
    """

    stack: StackParameters
    items: ItemReader
    _users: LastCall[Catalog, UserStates] = field(default_factory=LastCall, init=False, repr=False)

    def read(self, decisions: Decisions) -> PairsOfStack:
        """What is read of the pairs of decisions, whatever their slots."""
        pairs = distinct_pairs(decisions)
        states, codes = pairs.states, pairs.states.candidates.values
        items = self.items.of(states.catalog)
        if len(states) == 1:
            user = self._users.of(states.catalog, _nobody).of(states, self._read_user)
        else:
            user = self._read_user(states)
        seen, item = self.stack.models[0].space.counts_ignored, codes.astype(np.int64)
        attention = attention_features(
            states.candidates, user.history.entries, items.kernels, seen=seen
        )
        projected, first = items.projected, items.first
        if projected is None or first is None:
            asked, item = np.unique(codes, return_inverse=True)
            projected, first = self.items.projected(states.catalog, items.tables, asked)
        own = self._own(states, user, items)
        state, entries = states.candidates.row, user.history.entries.items.lengths
        open_ = self.stack.uncertainty.own(
            items.open, codes, entries if len(entries) == 1 else entries[state]
        )
        rounded = attention.astype(self.stack.precision, copy=False)
        return PairsOfStack(pairs, user, state, rounded, own, projected, first, item, open_)

    def _read_user(self, states: Decisions) -> UserRead:
        items, seen = self.items.of(states.catalog), states.looked_back_on()
        values = np.array(
            [m.space.scaled_rewards(states.histories, seen.values) for m in self.stack.models],
            np.float64,
        )
        entries = Entries(Ragged(seen.offsets, states.histories.item[seen.values]), values)
        history = history_read(entries, items.vectors)
        moments = self.stack.first_layer.moments.of(self.stack.by_member(history.moments))
        vectors = history.user_vectors.astype(self.stack.precision, copy=False)
        projected = self.stack.by_member(vectors) @ self.stack.networks.user
        users = np.ascontiguousarray(projected.swapaxes(0, 1))
        if len(states) > 1:
            return UserRead(history, moments, users)
        reader = self.stack.events
        events = None
        if reader is not None:
            events = reader.read(states, self._event_items(reader, states.catalog, items))
        factors = self._factors(states.catalog, items)
        taste = taste_of(states, self._readings, factors, np.float64)
        return UserRead(history, moments, users, taste, events)

    def _event_items(self, reader: EventReader, catalog: Catalog, items: ItemsOfStack) -> ItemsOf:
        return lambda codes: self.items.events(reader, catalog, codes, items)

    def _factors(self, catalog: Catalog, items: ItemsOfStack) -> FactorsOf:
        return lambda codes: self.items.factors(catalog, codes, items)

    @property
    def _readings(self) -> list[Reading]:
        return [(m.space, factors_of(m)) for m in self.stack.models]

    def _own(self, states: Decisions, user: UserRead, items: ItemsOfStack) -> Floats:
        """Tastes, and what transformers say, of each member, (m, k, P, columns)."""
        codes = states.candidates.values
        models, members, many = len(self.stack.models), self.stack.members, len(codes)

        factors = self._factors(states.catalog, items)
        if user.taste is not None:
            every = tastes_for(user.taste, factors(codes))
        else:
            every = tastes_in(states, self._readings, factors, np.float64)
        by_member = every.reshape(many, models, members, -1).transpose(1, 2, 0, 3)
        said = [
            language_outputs(states, [f.language for f in m.members if f.language])
            for m in self.stack.models
            if m.members[0].language
        ]
        parts = [by_member, np.array(said)] if said else [by_member]
        reader = self.stack.events
        if reader is not None:
            read = self._event_items(reader, states.catalog, items)
            found = reader.outputs(states, read, user.events)
            parts.append(found.reshape(models, members, many, found.shape[2]))
        own = np.concatenate(parts, axis=3) if len(parts) > 1 else by_member
        # Piece after piece of it is taken: each would copy all of what is not contiguous.
        return np.ascontiguousarray(own, self.stack.precision)


def _nobody(catalog: Catalog) -> UserStates:
    return UserStates()
