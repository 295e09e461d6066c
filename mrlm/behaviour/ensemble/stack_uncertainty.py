"""The uncertainty of several ensembles that are computed in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from mrlm.behaviour.ensemble.ensemble import Ensemble
from mrlm.behaviour.features.space import ItemTable
from mrlm.behaviour.uncertainty.layer_posterior import LayerPosterior, layer_variance, slope

Floats = NDArray[np.floating]
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ItemsOpen:
    """What a model's uncertainty asks of a catalogue; row c is item c.

    Attributes:
        length: ``LayerPosterior.lengths``, shape (items,).
        rewards: that each member knows, shape (k, items).
    """

    length: Vector
    rewards: Vector


@dataclass(frozen=True, eq=False)
class _OpenLayer:
    """The posterior of one of the models.

    Attributes:
        posterior: what the log leaves open.
        root: its own, in the precision of the networks.
        binary: whether the north star is a probability.
    """

    posterior: LayerPosterior
    root: Floats
    binary: bool


@dataclass(frozen=True, eq=False)
class StackUncertainty:
    """How far the truth of the north star may lie from what each of m models expects.

    Of a model with a posterior that is its standard deviation, of one of an earlier format the
    spread of its members, and 0 of one that is asked for its expectation alone.

    Attributes:
        layers: of the models whose posterior is asked for, by their place among all.
        spread: places of those whose members' spread is.
        models: how many models there are.
        star: place of the north star among the heads.
    """

    layers: dict[int, _OpenLayer]
    spread: tuple[int, ...]
    models: int
    star: int

    @classmethod
    def of(cls, models: Sequence[Ensemble], precision: type[np.floating]) -> StackUncertainty:
        """Of models that agree in their heads, whose networks are computed in that precision."""
        star = models[0].heads.index(models[0].north_star)
        layers = {
            j: _OpenLayer(
                m.posterior, m.posterior.root.astype(precision), m.calibration[star].binary
            )
            for j, m in enumerate(models)
            if m.tells_uncertainty and m.posterior is not None
        }
        spread = (j for j, m in enumerate(models) if m.tells_uncertainty and m.posterior is None)
        return cls(layers, tuple(spread), len(models), star)

    def items(
        self, models: Sequence[Ensemble], tables: Sequence[ItemTable], catalog: Catalog
    ) -> dict[int, ItemsOpen]:
        """What is read of a catalogue, for each of ``layers``."""
        return {
            j: ItemsOpen(
                layer.posterior.lengths(tables[j].vectors),
                np.stack([f.statistics.rows(catalog) for f in models[j].members]),
            )
            for j, layer in self.layers.items()
        }

    def own(
        self, items: dict[int, ItemsOpen], codes: NDArray[np.int32], entries: NDArray[np.int64]
    ) -> Vector:
        """Variance of what users and items have of their own, shape (m, P).

        Args:
            items: see ``items``.
            codes: of each pair's item, shape (P,).
            entries: of each pair's history, shape (P,).
        """
        out = np.zeros((self.models, len(codes)))
        for j, layer in self.layers.items():
            length, rewards = items[j].length.take(codes), items[j].rewards.take(codes, axis=1)
            out[j] = layer.posterior.variance(length, entries, rewards)
        return out

    def shared(self, hidden: Floats) -> Vector:
        """Variance by last hidden layers, (m k, rows, hidden), mean of the members, (m, rows)."""
        out = np.zeros((self.models, hidden.shape[1]))
        for j, layer in self.layers.items():
            k = len(layer.root)
            found = layer_variance(hidden[j * k : (j + 1) * k], layer.root)
            out[j] = np.add.reduce(found) / k
        return out

    def deviation(self, heads: Vector, expected: Vector, variance: Vector) -> Vector:
        """Standard deviation of the north star's expectation, shape (m, N).

        Args:
            heads: calibrated, of all members, shape (m, k, N, heads).
            expected: their mean, shape (m, N, heads).
            variance: of the output, by ``own`` and ``shared``, shape (m, N).
        """
        mean, out = expected[..., self.star], np.zeros(expected.shape[:2])
        for j, layer in self.layers.items():
            moved = slope(mean[j], variance[j], binary=layer.binary)
            np.multiply(moved, np.sqrt(variance[j]), out=out[j])
        for j in self.spread:
            apart = heads[j, ..., self.star] - mean[j]
            np.sqrt(np.add.reduce(apart * apart) / len(apart), out=out[j])
        return out
