"""Pair networks as they are asked, not trained: NumPy alone, several at once, in one precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log.last_call import LastCall
from mrlm.behaviour.network import CLIP, PairNetwork
from mrlm.behaviour.scene_heads import SceneHeads
from mrlm.behaviour.served_features import ServedFeatures

Floats = NDArray[np.floating]
# Rows at once, of all networks together: what a layer reads and writes stays in the cache.
_ROWS = 768
# Items of a catalogue whose part of the first layer is kept; of larger ones only those asked for
# are computed.
_KEPT = 1 << 15


@dataclass(frozen=True, eq=False)
class PairForward:
    """The outputs of k ``PairNetwork`` of one shape, without dropout.

    A request's few rows cost PyTorch more to hand around than to compute, and many rows more in
    memory than in arithmetic. What the first layer makes of an item is computed once a catalogue,
    of a pair once a request, of a decision once a slot; only what depends on all three is computed
    for every row. Both hidden layers are kept negated: x · sigmoid(x) then needs no pass of its own
    for the sign in exp(-x).

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
    _parts: dict[bytes, tuple[Floats, Floats, Floats]] = field(
        default_factory=dict, init=False, repr=False
    )

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
        whole = -stacked([n.body[0].weight for n in networks])
        dense = whole[:, :width] / scale.swapaxes(1, 2)
        arrays = {
            "lowest": centre - CLIP * scale,
            "highest": centre + CLIP * scale,
            "item": stacked([n.item.weight for n in networks]),
            "user": stacked([n.user.weight for n in networks]),
            "dense": dense,
            "projected": whole[:, width : width + projection],
            "product": whole[:, width + projection :],
            "first": -stacked([n.body[0].bias for n in networks]) - centre @ dense,
            "second": stacked([n.body[3].weight for n in networks]),
            "second_bias": -stacked([n.body[3].bias for n in networks]),
            "head": -stacked([n.head.weight for n in networks]),
            "head_bias": stacked([n.head.bias for n in networks]),
        }
        return cls(**{name: np.ascontiguousarray(a, precision) for name, a in arrays.items()})

    def outputs(
        self,
        features: ServedFeatures,
        own: Floats | None = None,
        scenes: tuple[SceneHeads, NDArray[np.int64]] | None = None,
    ) -> NDArray[np.float64]:
        """Outputs of every row, float64, shape (k, N, outputs), in the networks' precision.

        Args:
            features: what all networks read.
            own: what each reads of a pair beside them, its last columns, shape (k, P, some).
            scenes: what scenes add to the last layer, and the code of each decision's scene.
        """
        out = np.empty((len(self.head), len(features.pair), self.head.shape[2]))
        for rows, hidden in self._last(features, own):
            out[:, rows] = hidden @ self.head
            if scenes is not None:
                heads, code = scenes
                out[:, rows] += heads.added(hidden, code[features.row[rows]])
        out += self.head_bias
        return out

    def hidden(self, features: ServedFeatures, own: Floats | None = None) -> Floats:
        """The last hidden layer, negated as ``head`` reads it, shape (k, N, hidden)."""
        k, width = self.head.shape[:2]
        out = np.empty((k, len(features.pair), width), self.head.dtype)
        for rows, hidden in self._last(features, own):
            out[:, rows] = hidden
        return out

    def _last(self, features: ServedFeatures, own: Floats | None) -> Iterator[tuple[slice, Floats]]:
        """The last hidden layer, negated, some rows at a time."""
        by_pair = self._of_pairs(features, own)
        by_decision = _layer(features.by_decision, self._part(features.decision_columns))
        candidate = self._part(features.candidate_columns)
        for rows in _pieces(len(features.pair), len(self.head)):
            # Where exp overflows, x · sigmoid(x) is 0 as it should be.
            with np.errstate(over="ignore"):
                hidden = by_pair.take(features.pair[rows], axis=1)
                hidden += by_decision.take(features.row[rows], axis=1)
                hidden += _layer(features.by_candidate[rows], candidate)
                hidden = _silu(hidden) @ self.second
                hidden += self.second_bias
                hidden = _silu(hidden)
            yield rows, hidden

    def _of_pairs(self, features: ServedFeatures, own: Floats | None) -> Floats:
        """What the first layer makes of each pair, with its bias, shape (k, P, hidden)."""
        projected, first, item = self._of_items(features)
        users = features.user_vectors.astype(self.user.dtype, copy=False) @ self.user
        common = self._part(features.pair_columns)
        width = self.dense.shape[1]
        last = None if own is None else self._part(np.arange(width - own.shape[2], width))
        pairs, k = len(features.by_pair), len(self.head)
        out = np.empty((k, pairs, self.first.shape[2]), self.first.dtype)
        for rows in _pieces(pairs, k):
            hidden = _layer(features.by_pair[rows], common)
            if own is not None and last is not None:
                hidden += _layer(own[:, rows], last)
            product = projected.take(item[rows], axis=1)
            product *= users.take(features.state[rows], axis=1)
            hidden += product @ self.product
            hidden += first.take(item[rows], axis=1)
            out[:, rows] = hidden
        return out

    def _part(self, columns: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        """Lowest, highest and first layer of some of the dense features."""
        key = columns.tobytes()
        if key not in self._parts:
            ends = self.lowest[..., columns], self.highest[..., columns]
            self._parts[key] = (*ends, self.dense[:, columns])
        return self._parts[key]

    def _of_items(self, features: ServedFeatures) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Projections of items, what the first layer makes of them, and each pair's item."""
        if len(features.item_vectors) <= _KEPT:
            return *self._items.of(features.item_vectors, self._project), features.item
        asked, item = np.unique(features.item, return_inverse=True)
        return *self._project(features.item_vectors[asked]), item

    def _project(self, vectors: Floats) -> tuple[Floats, Floats]:
        projected = vectors.astype(self.item.dtype, copy=False) @ self.item
        return projected, projected @ self.projected + self.first


def _layer(values: Floats, part: tuple[Floats, Floats, Floats]) -> Floats:
    """What the first layer makes of some of the dense features, shape (k, rows, hidden)."""
    lowest, highest, weight = part
    x = np.maximum(values.astype(weight.dtype, copy=False), lowest)
    np.minimum(x, highest, out=x)
    return np.asarray(x @ weight, weight.dtype)


def _pieces(rows: int, networks: int) -> list[slice]:
    step = max(1, _ROWS // networks)
    return [slice(start, start + step) for start in range(0, rows, step)]


def _silu(x: Floats) -> Floats:
    """Write -y · sigmoid(y) over x = -y."""
    divisor = np.exp(x)
    divisor += 1.0
    x /= divisor
    return x
