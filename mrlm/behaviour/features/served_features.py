"""Pair features as they are served: what a pair, a decision and a candidate say, each said once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class ServedFeatures:
    """The dense features of N candidates of n decisions, in three parts of one precision.

    Decisions of one request share P pairs of S states, see ``DistinctPairs``.

    Attributes:
        by_pair: shape (P, a); by_decision: shape (n, b); by_candidate: shape (N, c).
        pair_columns, decision_columns, candidate_columns: int64, which dense features these are.
        pair: int64, shape (N,), row of ``by_pair``.
        row: int64, shape (N,), row of ``by_decision``.
        item: int64, shape (P,), row of ``item_vectors``.
        state: int64, shape (P,), row of ``user_vectors``.
        of_decision: int64, shape (n,), the decision's row of ``user_vectors``.
        item_vectors: shape (items, width).
        user_vectors: shape (S, rewards of the history * width).
    """

    by_pair: Floats
    by_decision: Floats
    by_candidate: Floats
    pair_columns: Places
    decision_columns: Places
    candidate_columns: Places
    pair: Places
    row: Places
    item: Places
    state: Places
    of_decision: Places
    item_vectors: Floats
    user_vectors: Floats

    @property
    def width(self) -> int:
        """How many dense features there are."""
        return len(self.pair_columns) + len(self.decision_columns) + len(self.candidate_columns)

    def with_pair_columns(self, more: Floats) -> ServedFeatures:
        """The same with more dense features at the end, shape (P, m)."""
        return replace(
            self,
            by_pair=np.concatenate([self.by_pair, more], axis=1, dtype=self.by_pair.dtype),
            pair_columns=np.append(self.pair_columns, self.width + np.arange(more.shape[1])),
        )

    def with_columns(self, more: Floats) -> ServedFeatures:
        """The same with more dense features at the end, shape (N, m)."""
        kept = self.by_candidate
        return replace(
            self,
            by_candidate=np.concatenate([kept, more], axis=1, dtype=kept.dtype),
            candidate_columns=np.append(
                self.candidate_columns, self.width + np.arange(more.shape[1])
            ),
        )

    @property
    def dense(self) -> Floats:
        """All dense features of every candidate, shape (N, a + b + c); made anew at each call."""
        out = np.empty((len(self.pair), self.width), self.by_pair.dtype)
        out[:, self.pair_columns] = self.by_pair[self.pair]
        out[:, self.decision_columns] = self.by_decision[self.row]
        out[:, self.candidate_columns] = self.by_candidate
        return out
