"""Which items a request is about when it names none: those nearest to what the user valued."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.histories import Histories


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Exact nearest neighbours of a user in one catalogue, with places for new items.

    What it finds is the candidate set of the answer and of its log, so the policy's propensities
    are conditional on it, as they are on a set that the platform names.

    Attributes:
        vectors: float32, shape (items, dimensions), the embedding less its mean, of unit length.
        fresh: bool, shape (items,), items that the policy was not learned on.
        many: items to find.
        fresh_share: share of these that is kept for fresh items, as far as there are any.
    """

    vectors: NDArray[np.float32]
    fresh: NDArray[np.bool_]
    many: int
    fresh_share: float

    @classmethod
    def of(
        cls, catalog: Catalog, learned_on: Catalog, many: int, fresh_share: float
    ) -> Retrieval | None:
        """Over a catalogue; None where it has no embedding.

        Args:
            catalog: items that can be shown.
            learned_on: those that the policy was learned on.
            many: items to find.
            fresh_share: in [0, 1].
        """
        if catalog.embedding is None or many < 1:
            return None
        centred = catalog.embedding - catalog.embedding.mean(axis=0)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        vectors = (centred / np.where(length > 0, length, 1.0)).astype(np.float32)
        fresh = learned_on.codes(catalog.item_id) < 0
        return cls(vectors, fresh, many, fresh_share)

    def of_user(self, seen: Histories) -> NDArray[np.int32]:
        """Codes of items that the user has not seen, nearest first and then those of fresh places.

        The user is the mean vector of the items that brought more of the histories' first objective
        than the user's items do on average, or of all where no item did.

        Args:
            seen: entries of this user alone; without any, nothing is found.
        """
        if len(seen) == 0:
            return np.zeros(0, np.int32)
        near = self.vectors @ (_weights(seen) @ self.vectors[seen.item])
        near[seen.item] = -np.inf
        kept = round(self.fresh_share * self.many)
        fresh = _nearest(np.where(self.fresh, near, -np.inf), kept)
        near[fresh] = -np.inf
        others = _nearest(near, self.many - len(fresh))
        return np.concatenate([others, fresh])


def _weights(seen: Histories) -> NDArray[np.float32]:
    reward = seen.rewards[:, 0]
    known = np.isfinite(reward)
    above = np.where(known, reward - reward[known].mean(), 0.0) if known.any() else reward * 0
    weight = np.maximum(np.nan_to_num(above), 0.0)
    if not weight.any():
        weight = np.ones(len(seen))
    return np.asarray(weight / weight.sum(), np.float32)


def _nearest(near: NDArray[np.float32], many: int) -> NDArray[np.int32]:
    """Codes of the ``many`` largest, largest first; what is minus infinity is none."""
    many = min(many, int(np.isfinite(near).sum()))
    if many < 1:
        return np.zeros(0, np.int32)
    found = np.argpartition(-near, many - 1)[:many]
    return found[np.argsort(-near[found], kind="stable")].astype(np.int32)
