"""Pair networks as they are asked, not trained: NumPy alone, several at once, in one precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log.last_call import LastCall
from mrlm.behaviour.features.served_features import ServedFeatures
from mrlm.behaviour.networks.network import CLIP, PairNetwork

Floats = NDArray[np.floating]
# Rows at once, of all networks together: what a layer reads and writes stays in the cache.
_ROWS = 1024
# Items of a catalogue whose part of the first layer is kept; of larger ones only those asked for
# are computed.
KEPT_ITEMS = 1 << 15


@dataclass(frozen=True)
class FirstPart:
    """What the first layer makes of some of the dense features.

    Attributes:
        lowest, highest: beyond which they count no more, shape (k, 1, columns).
        weight: shape (k, columns, hidden).
    """

    lowest: Floats
    highest: Floats
    weight: Floats

    def clipped(self, values: Floats) -> Floats:
        """Values of all networks (rows, columns), or of each, within the ends, (k, rows, ...)."""
        x = np.maximum(values.astype(self.weight.dtype, copy=False), self.lowest)
        np.minimum(x, self.highest, out=x)
        return x

    def of(self, values: Floats) -> Floats:
        """The layer's part, shape (k, rows, hidden)."""
        return np.asarray(self.clipped(values) @ self.weight, self.weight.dtype)


@dataclass(frozen=True, eq=False)
class PairForward:
    """The outputs of k ``PairNetwork`` of one shape, without dropout.

    A request's few rows cost PyTorch more to hand around than to compute, and many rows more in
    memory than in arithmetic. What the first layer makes of an item is computed once a catalogue,
    of a pair once a request, of a decision once a slot; only what depends on all three is computed
    for every row. Both hidden layers are kept negated, and before their activation halved: of
    h = -x / 2 the negated x · sigmoid(x) is h - h · tanh(h), which costs least.

    Attributes:
        lowest, highest: of the dense features, beyond which they count no more, (k, 1, dense).
        item: item vector to projection, shape (k, vector, projection).
        user: user vector to projection, shape (k, user vector, projection).
        dense: first layer, of dense features as they are, shape (k, dense, hidden).
        projected, product: first layer, of the projected item and of its product with the
            projected user, shape (k, projection, hidden).
        first: bias of the first layer where all dense features are 0, shape (k, 1, hidden).
        second, second_bias, head, head_bias: of the other two layers.
    """

    lowest: Floats
    highest: Floats
    item: Floats
    user: Floats
    dense: Floats
    projected: Floats
    product: Floats
    first: Floats
    second: Floats
    second_bias: Floats
    head: Floats
    head_bias: Floats
    _items: LastCall[Floats, tuple[Floats, Floats]] = field(
        default_factory=LastCall, init=False, repr=False
    )
    _parts: dict[bytes, FirstPart] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(
        cls, networks: Sequence[PairNetwork], precision: type[np.floating] = np.float64
    ) -> PairForward:
        """The networks as they are now; later training does not change this."""

        def stacked(tensors: list[torch.Tensor]) -> NDArray[np.float64]:
            # Vectors become rows, and matrices map from their rows to their columns.
            return np.stack([np.atleast_2d(t.detach().double().numpy().T) for t in tensors])

        width, projection = len(networks[0].centre), networks[0].item.out_features
        centre, scale = (stacked([getattr(n, x) for n in networks]) for x in ("centre", "scale"))
        whole = stacked([n.body[0].weight for n in networks]) / -2
        dense = whole[:, :width] / scale.swapaxes(1, 2)
        arrays = {
            "lowest": centre - CLIP * scale,
            "highest": centre + CLIP * scale,
            "item": stacked([n.item.weight for n in networks]),
            "user": stacked([n.user.weight for n in networks]),
            "dense": dense,
            "projected": whole[:, width : width + projection],
            "product": whole[:, width + projection :],
            "first": stacked([n.body[0].bias for n in networks]) / -2 - centre @ dense,
            "second": stacked([n.body[3].weight for n in networks]) / 2,
            "second_bias": stacked([n.body[3].bias for n in networks]) / -2,
            "head": -stacked([n.head.weight for n in networks]),
            "head_bias": stacked([n.head.bias for n in networks]),
        }
        return cls(**{name: np.ascontiguousarray(a, precision) for name, a in arrays.items()})

    def outputs(self, features: ServedFeatures) -> NDArray[np.float64]:
        """Outputs of every row, float64, shape (k, N, outputs), in the networks' precision."""
        out = np.empty((len(self.head), len(features.pair), self.head.shape[2]))
        by_pair = self._of_pairs(features)
        by_decision = self.part(features.decision_columns).of(features.by_decision)
        candidate = self.part(features.candidate_columns)
        for rows in pieces(len(features.pair), len(self.head)):
            hidden = by_pair.take(features.pair[rows], axis=1)
            hidden += by_decision.take(features.row[rows], axis=1)
            hidden += candidate.of(features.by_candidate[rows])
            out[:, rows] = self.activate(hidden) @ self.head
        out += self.head_bias
        return out

    def activate(self, hidden: Floats) -> Floats:
        """The last hidden layer, negated, of the first before activation, which is written over."""
        second = _silu(hidden) @ self.second
        second += self.second_bias
        return _silu(second)

    def _of_pairs(self, features: ServedFeatures) -> Floats:
        """What the first layer makes of each pair, with its bias, shape (k, P, hidden)."""
        projected, first, item = self._of_items(features)
        users = features.user_vectors.astype(self.user.dtype, copy=False) @ self.user
        part = self.part(features.pair_columns)
        pairs, k = len(features.by_pair), len(self.head)
        out = np.empty((k, pairs, self.first.shape[2]), self.first.dtype)
        for rows in pieces(pairs, k):
            hidden = part.of(features.by_pair[rows])
            product = projected.take(item[rows], axis=1)
            product *= users.take(features.state[rows], axis=1)
            hidden += product @ self.product
            hidden += first.take(item[rows], axis=1)
            out[:, rows] = hidden
        return out

    def part(self, columns: NDArray[np.int64]) -> FirstPart:
        """The first layer of some of the dense features."""
        key = columns.tobytes()
        if key not in self._parts:
            ends = self.lowest[..., columns], self.highest[..., columns]
            self._parts[key] = FirstPart(*ends, self.dense[:, columns])
        return self._parts[key]

    def _of_items(self, features: ServedFeatures) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Projections of items, what the first layer makes of them, and each pair's item."""
        if len(features.item_vectors) <= KEPT_ITEMS:
            return *self._items.of(features.item_vectors, self.project), features.item
        asked, item = np.unique(features.item, return_inverse=True)
        return *self.project(features.item_vectors[asked]), item

    def project(self, vectors: Floats) -> tuple[Floats, Floats]:
        """Projections of items, (k, items, projection), and what the first layer makes of them.

        Args:
            vectors: shape (items, vector), or as each network reads them (k, items, vector).
        """
        projected = vectors.astype(self.item.dtype, copy=False) @ self.item
        return projected, projected @ self.projected + self.first


def pieces(rows: int, networks: int) -> list[slice]:
    """Rows of all networks, as many at once as stay in the cache."""
    step = max(1, _ROWS // networks)
    return [slice(start, start + step) for start in range(0, rows, step)]


def _silu(x: Floats) -> Floats:
    """Write -y · sigmoid(y) over x = -y / 2."""
    bent = np.tanh(x)
    bent *= x
    x -= bent
    return x
