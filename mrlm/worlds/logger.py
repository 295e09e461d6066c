"""The known stochastic policy that writes the demonstration log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog


@dataclass(frozen=True)
class SoftmaxLogger:
    """Softmax over one item attribute on the log scale, mixed with the uniform policy.

    ``p(a) = (1 - floor) * softmax(coefficient * log(attribute))(a) + floor / K`` over K candidates.

    Attributes:
        attribute: a positive item attribute.
        coefficient: 0 is uniform; 1 shows in proportion to the attribute.
        floor: share of the uniform policy, in (0, 1].
        policy_id: identifier in the log.
    """

    attribute: str = "popularity"
    coefficient: float = 0.5
    floor: float = 0.2
    policy_id: str = "popularity-softmax"

    def weights(self, catalog: Catalog) -> NDArray[np.float64]:
        """Unnormalised softmax weight of every item, float64, shape (items,).

        Raises:
            ValueError: an item has no positive value of the attribute.
        """
        value = catalog.attributes[self.attribute]
        if not (value > 0).all():
            raise ValueError(f"the logger needs a positive {self.attribute!r} of every item")
        return np.asarray(np.exp(self.coefficient * np.log(value)), np.float64)

    def probabilities(
        self, weights: NDArray[np.float64], offered: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Probability of every candidate, float64, shape (rows, K); 0 where not ``offered``.

        ``weights`` and ``offered`` have shape (rows, K); each row offers something.
        """
        kept = np.where(offered, weights, 0.0)
        softmax = kept / kept.sum(axis=1, keepdims=True)
        uniform = offered / offered.sum(axis=1, keepdims=True)
        return np.asarray((1.0 - self.floor) * softmax + self.floor * uniform, np.float64)


def draw(probabilities: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Column drawn in each row by inversion, int64, shape (rows,); ``uniform`` in [0, 1)."""
    cumulative = np.cumsum(probabilities, axis=1)
    beyond = cumulative > (uniform * cumulative[:, -1])[:, None]
    return np.asarray(np.argmax(beyond, axis=1), np.int64)
