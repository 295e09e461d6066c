"""Boosted trees of scikit-learn on what our reward model reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.learners._peers.contract import Floats, Score, star_rewards
from mrlm.bandit_log import BanditLog, Decisions
from mrlm.behaviour.features.pair_features import PairFeatures

# Candidates that are looked at together: 200 columns of them are 50 MiB.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class BoostedTrees:
    """Histogram gradient boosting of the north star by log loss, leaves of at least 40 rows.

    Attributes:
        rounds: trees.
        rate: share of each that is added.
        leaves: the most of one tree.
        vectors: whether it reads the item's vector, and its product with the user's entry by
            entry, as the network does, or only their inner product for each reward.
    """

    rounds: int
    rate: float
    leaves: int
    vectors: bool

    @property
    def name(self) -> str:
        """Its settings."""
        read = "vectors" if self.vectors else "inner product"
        return f"{self.rounds} trees of {self.leaves} leaves at {self.rate:g}, {read}"

    def fit(self, log: BanditLog, shown: PairFeatures) -> Score:
        """See ``Peer``."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        trees = HistGradientBoostingClassifier(
            max_iter=self.rounds,
            learning_rate=self.rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=40,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=0,
        ).fit(self._columns(shown), star_rewards(log) > 0.5)

        def score(decisions: Decisions, features: PairFeatures) -> Floats:
            out = np.empty(len(features.item))
            for start in range(0, len(out), _BLOCK):
                part = np.arange(start, min(start + _BLOCK, len(out)))
                out[part] = trees.decision_function(self._columns(features.take(part)))
            return out

        return score

    def _columns(self, features: PairFeatures) -> NDArray[np.floating]:
        item = features.item_vectors[features.item]
        # A vector of the user for each reward of the history.
        user = features.user_vectors[features.row].reshape(len(item), -1, item.shape[1])
        more = [np.einsum("nw,nrw->nr", item, user)]
        more += [item, item * user.mean(axis=1)] if self.vectors else []
        return np.concatenate([features.dense, *more], axis=1, dtype=np.float32)


SETTINGS = (
    BoostedTrees(100, 0.1, 15, vectors=False),
    BoostedTrees(100, 0.1, 15, vectors=True),
    BoostedTrees(200, 0.05, 15, vectors=True),
)
