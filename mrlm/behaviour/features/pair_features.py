"""Features of (state, candidate) pairs: what networks of this and the learners' room read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions, Ragged
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.known_rewards import category_novelty
from mrlm.behaviour.features.served_features import ServedFeatures
from mrlm.behaviour.features.space import FeatureSpace, ItemTable, item_table
from mrlm.embeddings.user_state import (
    Entries,
    Kernels,
    attention_features,
    history_moments,
    profile,
)

# Sharp, middle and broad attention; the prior grows with the width, for broad weights are many.
_TEMPERATURES, _PRIORS = (0.05, 0.15, 0.5), (0.05, 0.3, 1.0)
# By text and by categories.
KERNELS = 2 * len(_TEMPERATURES)
_HALF_LIFE = 10.0
_PROFILE_PRIOR = 3.0


@dataclass(frozen=True)
class PairFeatures:
    """Features of N candidates of n decisions, all in one precision.

    Attributes:
        dense: shape (N, features).
        item: int64, shape (N,), row of ``item_vectors``.
        row: int64, shape (N,), the candidate's decision: row of ``user_vectors``.
        item_vectors: shape (items, width).
        user_vectors: shape (n, rewards of the history * width).
    """

    dense: NDArray[np.floating]
    item: NDArray[np.int64]
    row: NDArray[np.int64]
    item_vectors: NDArray[np.floating]
    user_vectors: NDArray[np.floating]

    @classmethod
    def of(cls, served: ServedFeatures) -> PairFeatures:
        """The same row by row, as networks are trained on."""
        return cls(
            dense=served.dense,
            item=served.item[served.pair],
            row=served.row,
            item_vectors=served.item_vectors,
            user_vectors=served.user_vectors[served.of_decision],
        )

    def with_columns(self, more: NDArray[np.floating]) -> PairFeatures:
        """The same with more dense features, shape (N, m)."""
        dense = np.concatenate([self.dense, more], axis=1, dtype=self.dense.dtype)
        return replace(self, dense=dense)

    def take(self, index: NDArray[np.int64]) -> PairFeatures:
        """The candidates at ``index``; vectors are shared, not copied."""
        return replace(self, dense=self.dense[index], item=self.item[index], row=self.row[index])


def shown_only(log: BanditLog) -> Decisions:
    """The decisions with the shown item as the only candidate, so that features fit the rewards."""
    decisions = log.decisions
    only = Ragged(np.arange(len(log) + 1), decisions.candidates.values[log.shown])
    return replace(decisions, candidates=only)


@dataclass(frozen=True)
class HistoryRead:
    """What is said of S states whatever is offered in them.

    Attributes:
        entries: what each looks back on, with what the user thought of it against the user's mean.
        moments: shape (S, features), what the user is like.
        user_vectors: shape (S, rewards of the history * width).
    """

    entries: Entries
    moments: NDArray[np.floating]
    user_vectors: NDArray[np.floating]


@dataclass(frozen=True)
class PairsRead:
    """What is said of P distinct pairs whatever the slot.

    Attributes:
        item: int64, shape (P,), code of each pair's candidate.
        state: int64, shape (P,), the state of each.
        attention: shape (P, features), how the history speaks for the candidate.
        history: of the states.
    """

    item: NDArray[np.int64]
    state: NDArray[np.int64]
    attention: NDArray[np.floating]
    history: HistoryRead


def pair_features(
    decisions: Decisions,
    space: FeatureSpace,
    table: ItemTable | None = None,
    precision: type[np.floating] = np.float32,
) -> PairFeatures:
    """Features of every candidate, from ``Decisions`` alone: no outcome can enter.

    Args:
        decisions: states and candidates.
        space: fitted scales.
        table: ``item_table(space, decisions.catalog, precision)``, where the caller has it.
        precision: float32 is enough to learn from; what is served is computed in float64, so that
            neither threads nor the processor nor the rows beside a row change a probability.
    """
    table = item_table(space, decisions.catalog, precision) if table is None else table
    pairs = distinct_pairs(decisions)
    history = read_history(pairs.states, space, table)
    read = read_pairs(pairs.states.candidates, history, space, table)
    return PairFeatures.of(slot_features(decisions, pairs.state, pairs.pair, read, space, table))


def read_history(states: Decisions, space: FeatureSpace, table: ItemTable) -> HistoryRead:
    """What is said of distinct states, in the precision of the table."""
    return history_read(_entries(states, space), table.vectors)


def history_read(entries: Entries, vectors: NDArray[np.floating]) -> HistoryRead:
    """The same of what S states look back on; of m spaces at once, everything has m rows.

    Args:
        entries: with scaled rewards.
        vectors: of the catalogue's items, ``ItemTable.vectors``, of each space.
    """
    precision = vectors.dtype
    moments = history_moments(entries, _HALF_LIFE)
    own = moments[..., 1][..., entries.items.row, :].astype(precision)
    residual = Entries(entries.items, entries.values - own)
    return HistoryRead(
        entries=residual,
        moments=moments.reshape(*moments.shape[:-2], -1).astype(precision),
        user_vectors=profile(residual, vectors, _PROFILE_PRIOR),
    )


def kernels_of(vectors: NDArray[np.floating]) -> Kernels:
    """How candidates attend by the items' vectors of one kind, of one space or of several."""
    return Kernels(vectors, _TEMPERATURES, _PRIORS)


def read_pairs(
    candidates: Ragged, history: HistoryRead, space: FeatureSpace, table: ItemTable
) -> PairsRead:
    """What is said of the pairs of distinct states, whose history was read, and candidates."""
    kernels = [kernels_of(table.text), kernels_of(table.category)]
    return PairsRead(
        item=candidates.values.astype(np.int64),
        state=candidates.row,
        attention=attention_features(
            candidates, history.entries, kernels, seen=space.counts_ignored
        ),
        history=history,
    )


def slot_features(
    decisions: Decisions,
    state: NDArray[np.int64],
    pair: NDArray[np.int64],
    read: PairsRead,
    space: FeatureSpace,
    table: ItemTable,
) -> ServedFeatures:
    """Features of every candidate of decisions, of which the pairs were read.

    Args:
        decisions: states and candidates.
        state: int64, shape (n,), which of the states that were read each decision has.
        pair: int64, shape (N,), which of the pairs each candidate is.
        read: what was said of these.
        space: fitted scales.
        table: the catalogue through the space.
    """
    precision = table.text.dtype
    decision = [read.history.moments[state], places_and_scenes(decisions, space)]
    by_pair = np.concatenate([read.attention, table.attributes[read.item]], axis=1)
    by_decision = np.concatenate(decision, axis=1, dtype=precision)
    of_pairs, of_decisions, of_candidates = dense_columns(
        read.attention.shape[1], by_decision.shape[1], table.attributes.shape[1]
    )
    return ServedFeatures(
        by_pair=by_pair,
        by_decision=by_decision,
        by_candidate=category_novelty(decisions)[:, None].astype(precision),
        pair_columns=of_pairs,
        decision_columns=of_decisions,
        candidate_columns=of_candidates,
        pair=pair,
        row=decisions.candidates.row,
        item=read.item,
        state=read.state,
        of_decision=state,
        item_vectors=table.vectors,
        user_vectors=read.history.user_vectors,
    )


def places_and_scenes(decisions: Decisions, space: FeatureSpace) -> NDArray[np.float64]:
    """Logarithm of each decision's position, and its scene among those of the space, (n, b)."""
    position = np.log(np.maximum(decisions.position, 1))[:, None]
    scene = decisions.scene.astype(str)[:, None] == np.array(space.scenes, str)
    return np.concatenate([position, scene], axis=1, dtype=np.float64)


@lru_cache(16)
def dense_columns(attention: int, decision: int, attributes: int) -> tuple[NDArray[np.int64], ...]:
    """Where networks know pairs, decisions and candidates by.

    Attention, the decision, the item's attributes, its novelty.
    """
    place = np.arange(attention + decision + attributes + 1)
    of_decision = slice(attention, attention + decision)
    return np.delete(place[:-1], of_decision), place[of_decision], place[-1:]


def _entries(decisions: Decisions, space: FeatureSpace) -> Entries:
    """What the decisions look back on, with the space's scaled rewards."""
    seen = decisions.looked_back_on()
    histories = decisions.histories
    values = space.scaled_rewards(histories, seen.values)
    return Entries(Ragged(seen.offsets, histories.item[seen.values]), values)
