"""Networks over entries as they are asked, not trained: NumPy alone, several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.behaviour.sequence.event_network import CLIP, DISTANCES, EventNetwork

Floats = NDArray[np.floating]
# Of PyTorch's layer normalisation.
_EPSILON = 1e-5
_TABLE = "encoder.identifiers.weight"


@dataclass(frozen=True)
class EventsRead:
    """What k networks make of one list of L entries, whatever is offered.

    Attributes:
        key: shape (k, heads, d, L + 1), of the start and of each entry.
        told: shape (k, heads, L + 1, d).
        last: what the body makes of each state, shape (k, L + 1, width).
    """

    key: Floats
    told: Floats
    last: Floats

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        return int(self.key.nbytes + self.told.nbytes + self.last.nbytes)


@dataclass(frozen=True, eq=False)
class EventForward:
    """The outputs of k ``EventNetwork`` of one shape, without dropout, in one precision.

    Every list is computed by itself, so that what is read beside it changes not a bit.

    Attributes:
        arrays: name of the parameter to those of all networks, matrices turned to map rows to
            columns, vectors as one row, shape (k, ..., ...).
        heads: of attention.
        layers: of the encoder.
        precision: of the arrays.
    """

    arrays: dict[str, Floats]
    heads: int
    layers: int
    precision: type[np.floating]

    @classmethod
    def of(
        cls, networks: Sequence[EventNetwork], precision: type[np.floating] = np.float64
    ) -> EventForward:
        """The networks as they are now; later training does not change this."""
        states = [n.state_dict() for n in networks]

        def stacked(name: str) -> Floats:
            whole = np.stack([np.atleast_2d(s[name].detach().double().numpy()) for s in states])
            turned = states[0][name].ndim == 2 and name.endswith(".weight") and name != _TABLE
            return np.ascontiguousarray(whole.swapaxes(1, 2) if turned else whole, precision)

        arrays = {name: stacked(name) for name in states[0]}
        return cls(arrays, networks[0].heads, len(networks[0].encoder.layers), precision)

    def items(self, vectors: Floats, statistics: Floats, bucket: NDArray[np.int64]) -> Floats:
        """What the networks read of n items, shape (k, n, width).

        Args:
            vectors: of the items as each network reads them, shape (k, n, vector).
            statistics: what happened with them, shape (k, n, statistics).
            bucket: int64, shape (n,).
        """
        a = self.arrays
        standard = (statistics - a["encoder.centre"]) / a["encoder.scale"]
        np.clip(standard, -CLIP, CLIP, out=standard)
        rows = np.concatenate(
            [vectors, standard, a[_TABLE][:, bucket]],
            axis=2,
            dtype=self.precision,
        )
        return np.asarray(rows @ a["encoder.item.weight"], self.precision)

    def read(self, entries: Floats, values: Floats) -> EventsRead:
        """One list of L entries.

        Args:
            entries: what is read of their items, shape (k, L, width).
            values: what was known of them, shape (k, L, values).
        """
        a, k = self.arrays, len(self.arrays["body.bias"])
        many = entries.shape[1]
        states = np.empty((k, many + 1, entries.shape[2]), self.precision)
        states[:, :1] = a["encoder.start"]
        told = values.astype(self.precision, copy=False) @ a["encoder.value.weight"]
        states[:, 1:] = entries + told + a["encoder.value.bias"]
        for layer in range(self.layers):
            self._layer(f"encoder.layers.{layer}.", states)
        key = states @ a["key.weight"]
        key[:, 1:] += entries @ a["query.weight"]
        width = states.shape[2]
        return EventsRead(
            key=np.ascontiguousarray(self._split(key).swapaxes(2, 3)),
            told=np.ascontiguousarray(self._split(states @ a["told.weight"])),
            last=states @ a["body.weight"][:, 3 * width :] + a["body.bias"],
        )

    def _layer(self, name: str, states: Floats) -> None:
        """One layer of the encoder, added to the states, shape (k, L, width)."""
        a, width = self.arrays, states.shape[2]
        before = _normal(states) * a[f"{name}before.weight"] + a[f"{name}before.bias"]
        parts = before @ a[f"{name}parts.weight"]
        parts += a[f"{name}parts.bias"]
        _silu(parts)
        gate = parts[..., :width]
        told, query, key = (self._split(parts[..., j * width : (j + 1) * width]) for j in (1, 2, 3))
        many = states.shape[1]
        score = query @ key.swapaxes(2, 3)
        score /= np.sqrt(query.shape[3])
        apart = np.subtract.outer(np.arange(many), np.arange(many))
        score += a[f"{name}distance"][:, :, _bucket(apart)]
        score[..., apart < 0] = -np.inf
        found = _normal(_joined(_softmax(score) @ told))
        found = found * a[f"{name}after.weight"] + a[f"{name}after.bias"]
        states += (gate * found) @ a[f"{name}out.weight"] + a[f"{name}out.bias"]

    def outputs(self, read: EventsRead, seen: int, asked: Floats) -> Floats:
        """Outputs of c candidates after the first entries of a list, shape (k, c, outputs).

        Args:
            read: of the list.
            seen: how many entries were seen.
            asked: what is read of the candidates, shape (k, c, width).
        """
        a, width = self.arrays, asked.shape[2]
        query = self._split(asked @ a["query.weight"])
        score = query @ read.key[..., : seen + 1]
        score /= np.sqrt(query.shape[3])
        away = np.arange(seen + 1, 0, -1)
        score += a["distance"][:, :, None, _bucket(away)]
        found = _joined(_softmax(score) @ read.told[:, :, : seen + 1])
        weight = a["body.weight"]
        hidden = found @ weight[:, :width]
        hidden += (found * asked) @ weight[:, width : 2 * width]
        hidden += asked @ weight[:, 2 * width : 3 * width]
        hidden += read.last[:, seen : seen + 1]
        _silu(hidden)
        return np.asarray(hidden @ a["head.weight"] + a["head.bias"], self.precision)

    def _split(self, x: Floats) -> Floats:
        """(k, L, width) to (k, heads, L, width / heads)."""
        k, many, width = x.shape
        return x.reshape(k, many, self.heads, width // self.heads).swapaxes(1, 2)


def _joined(x: Floats) -> Floats:
    k, heads, many, d = x.shape
    return x.swapaxes(1, 2).reshape(k, many, heads * d)


def _bucket(away: NDArray[np.int64]) -> NDArray[np.int64]:
    """``distance_bucket``."""
    exponent = np.frexp(np.maximum(away, 0).astype(np.float32))[1]
    return np.minimum(exponent, DISTANCES - 1).astype(np.int64)


def _softmax(score: Floats) -> Floats:
    """Over the last axis, written over the scores."""
    score -= score.max(axis=-1, keepdims=True)
    np.exp(score, out=score)
    score /= score.sum(axis=-1, keepdims=True)
    return score


def _normal(x: Floats) -> Floats:
    """Each row with mean 0 and deviation 1."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    out: Floats = centred / np.sqrt(variance + np.asarray(_EPSILON, x.dtype))
    return out


def _silu(x: Floats) -> None:
    """Write x · sigmoid(x) over x."""
    half = x * np.asarray(0.5, x.dtype)
    np.tanh(half, out=half)
    half += 1
    half *= np.asarray(0.5, x.dtype)
    x *= half
