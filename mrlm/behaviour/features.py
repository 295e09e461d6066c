"""Features of (state, candidate) pairs: what networks of this and the learners' room read."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions, Ragged
from mrlm.bandit_log.known_rewards import category_novelty
from mrlm.behaviour.space import FeatureSpace, ItemTable, item_table
from mrlm.embeddings.user_state import (
    Entries,
    Kernel,
    attention_features,
    history_moments,
    profile,
)

# Sharp, middle and broad attention; the prior grows with the width, for broad weights are many.
_TEMPERATURES = ((0.05, 0.05), (0.15, 0.3), (0.5, 1.0))
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
    codes = decisions.candidates.values.astype(np.int64)
    row = decisions.candidates.row
    entries = _entries(decisions, space)
    moments = history_moments(entries, _HALF_LIFE)
    # What the user thought of each item against the user's own mean.
    own = moments[entries.items.row, :, 1].astype(precision)
    residual = Entries(entries.items, entries.values - own)
    kernels = [
        Kernel(vectors, temperature, prior)
        for vectors in (table.text, table.category)
        for temperature, prior in _TEMPERATURES
    ]
    position = np.log(np.maximum(decisions.position, 1)).astype(precision)
    scene = decisions.scene.astype(str)[:, None] == np.array(space.scenes, str)
    state = np.concatenate(
        [
            moments.reshape(len(moments), -1).astype(precision),
            position[:, None],
            scene.astype(precision),
        ],
        axis=1,
    )
    dense = np.concatenate(
        [
            attention_features(decisions.candidates, residual, kernels, seen=space.counts_ignored),
            state[row],
            table.attributes[codes],
            category_novelty(decisions)[:, None].astype(precision),
        ],
        axis=1,
    )
    return PairFeatures(
        dense=dense,
        item=codes,
        row=row,
        item_vectors=table.vectors,
        user_vectors=profile(decisions.candidates, residual, table.vectors, _PROFILE_PRIOR),
    )


def _entries(decisions: Decisions, space: FeatureSpace) -> Entries:
    """What the decisions look back on, with the space's scaled rewards."""
    seen = decisions.looked_back_on()
    histories = decisions.histories
    values = space.scaled_rewards(histories, seen.values)
    return Entries(Ragged(seen.offsets, histories.item[seen.values]), values)
