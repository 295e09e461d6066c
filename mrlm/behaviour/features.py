"""Features of (state, candidate) pairs: what networks of this and the learners' room read."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions, Ragged
from mrlm.bandit_log.known_rewards import category_novelty
from mrlm.behaviour.space import FeatureSpace, ItemTable, item_table
from mrlm.embeddings.state import Kernel, attention_features, history_moments, profile

# Sharp, middle and broad attention; the prior grows with the width, for broad weights are many.
_TEMPERATURES = ((0.05, 0.05), (0.15, 0.3), (0.5, 1.0))
_HALF_LIFE = 10.0
_PROFILE_PRIOR = 3.0


@dataclass(frozen=True)
class PairFeatures:
    """Features of N candidates of n decisions.

    Attributes:
        dense: float32, shape (N, features).
        item: int64, shape (N,), row of ``item_vectors``.
        row: int64, shape (N,), the candidate's decision: row of ``user_vectors``.
        item_vectors: float32, shape (items, width).
        user_vectors: float32, shape (n, width).
    """

    dense: NDArray[np.float32]
    item: NDArray[np.int64]
    row: NDArray[np.int64]
    item_vectors: NDArray[np.float32]
    user_vectors: NDArray[np.float32]

    def with_columns(self, more: NDArray[np.float32]) -> PairFeatures:
        """The same with more dense features, shape (N, m)."""
        return replace(self, dense=np.concatenate([self.dense, more], axis=1, dtype=np.float32))

    def take(self, index: NDArray[np.int64]) -> PairFeatures:
        """The candidates at ``index``; vectors are shared, not copied."""
        return replace(self, dense=self.dense[index], item=self.item[index], row=self.row[index])


def shown_only(log: BanditLog) -> Decisions:
    """The decisions with the shown item as the only candidate, so that features fit the rewards."""
    decisions = log.decisions
    only = Ragged(np.arange(len(log) + 1), decisions.candidates.values[log.shown])
    return replace(decisions, candidates=only)


def pair_features(
    decisions: Decisions, space: FeatureSpace, table: ItemTable | None = None
) -> PairFeatures:
    """Features of every candidate, from ``Decisions`` alone: no outcome can enter.

    Args:
        decisions: states and candidates.
        space: fitted scales.
        table: ``item_table(space, decisions.catalog)``, where the caller has it.
    """
    table = item_table(space, decisions.catalog) if table is None else table
    codes = decisions.candidates.values.astype(np.int64)
    row = decisions.candidates.row
    values = ((decisions.history_value - space.history_mean) / space.history_scale).astype(
        np.float32
    )
    moments = history_moments(decisions, values, _HALF_LIFE)
    # What the user thought of each item against the user's own mean.
    residual = values - np.repeat(moments[:, 1], decisions.history.lengths)
    kernels = [
        Kernel(vectors, temperature, prior)
        for vectors in (table.text, table.category)
        for temperature, prior in _TEMPERATURES
    ]
    position = np.log(np.maximum(decisions.position, 1)).astype(np.float32)
    scene = decisions.scene.astype(str)[:, None] == np.array(space.scenes, str)
    state = np.concatenate([moments, position[:, None], scene.astype(np.float32)], axis=1)
    dense = np.concatenate(
        [
            attention_features(decisions, kernels, residual[:, None]),
            state[row],
            table.attributes[codes],
            category_novelty(decisions)[:, None].astype(np.float32),
        ],
        axis=1,
    )
    vectors = np.concatenate([table.text, table.category], axis=1)
    return PairFeatures(
        dense=dense,
        item=codes,
        row=row,
        item_vectors=vectors,
        user_vectors=profile(decisions, vectors, residual, _PROFILE_PRIOR),
    )
