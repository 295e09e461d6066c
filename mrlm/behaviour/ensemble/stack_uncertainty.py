"""The uncertainty of several ensembles that are computed in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from mrlm.behaviour.ensemble.ensemble import Ensemble
from mrlm.behaviour.features.space import ItemTable
from mrlm.behaviour.uncertainty.layer_posterior import (
    LayerPosterior,
    history_share,
    layer_variance,
    slope,
)

Floats = NDArray[np.floating]
Vector = NDArray[np.float64]
Places = NDArray[np.int64] | slice


@dataclass(frozen=True, eq=False)
class ItemsOpen:
    """Variance that a catalogue's items leave open, of the u models that tell it.

    Attributes:
        user: of a user without history, float64, shape (u, items).
        item: of the item's own, float64, shape (u, items).
    """

    user: Vector
    item: Vector


@dataclass(frozen=True, eq=False)
class StackUncertainty:
    """How far the truth of the north star may lie from what each of m models expects.

    Of a model with a posterior that is its standard deviation, of one of an earlier format the
    spread of its members, and 0 of one that is asked for its expectation alone.

    Attributes:
        posteriors: of the u models whose posterior is asked for.
        places: of these among all models, and of their members among all members; slices where
            they are all.
        root: their roots, in the precision of the networks, shape (u k, hidden + 1, hidden + 1).
        spread: places of those whose members' spread is asked for.
        models: how many models there are.
        star: place of the north star among the heads.
        binary: whether the north star is a probability.
    """

    posteriors: tuple[LayerPosterior, ...]
    places: tuple[Places, Places]
    root: Floats
    spread: tuple[int, ...]
    models: int
    star: int
    binary: bool

    @classmethod
    def of(cls, models: Sequence[Ensemble], precision: type[np.floating]) -> StackUncertainty:
        """Of models that agree in their heads, whose networks are computed in that precision."""
        first, k = models[0], len(models[0].members)
        star = first.heads.index(first.north_star)
        told = [j for j, m in enumerate(models) if m.tells_uncertainty and m.posterior is not None]
        spread = (j for j, m in enumerate(models) if m.tells_uncertainty and m.posterior is None)
        posteriors = tuple(p for j in told if (p := models[j].posterior) is not None)
        members = np.array([range(j * k, (j + 1) * k) for j in told], np.int64).ravel()
        every = len(told) == len(models)
        return cls(
            posteriors,
            (slice(None), slice(None)) if every else (np.array(told, np.int64), members),
            np.concatenate([p.root for p in posteriors]).astype(precision)
            if posteriors
            else np.zeros((0, 1, 1), precision),
            tuple(spread),
            len(models),
            star,
            first.calibration[star].binary,
        )

    def items(
        self, models: Sequence[Ensemble], tables: Sequence[ItemTable], catalog: Catalog
    ) -> ItemsOpen:
        """What is read of a catalogue."""
        every = np.arange(self.models)[self.places[0]]
        user, item = np.zeros((2, len(every), len(catalog)))
        for u, (j, posterior) in enumerate(zip(every, self.posteriors, strict=True)):
            rewards = np.stack([f.statistics.rows(catalog) for f in models[j].members])
            user[u] = posterior.of_user(posterior.lengths(tables[j].vectors))
            item[u] = posterior.of_item(rewards)
        return ItemsOpen(user, item)

    def own(self, items: ItemsOpen, codes: NDArray[np.int32], entries: NDArray[np.int64]) -> Vector:
        """Variance of what users and items have of their own, shape (m, P).

        Args:
            items: see ``items``.
            codes: of each pair's item, shape (P,).
            entries: of each pair's history, shape (P,) or, of a single state, (1,).
        """
        out = np.zeros((self.models, len(codes)))
        found = items.user.take(codes, axis=1)
        found *= history_share(entries)
        found += items.item.take(codes, axis=1)
        out[self.places[0]] = found
        return out

    def shared(self, hidden: Floats) -> Vector:
        """Variance by last hidden layers, (m k, rows, hidden), mean of the members, (m, rows)."""
        out = np.zeros((self.models, hidden.shape[1]))
        if self.posteriors:
            found = layer_variance(hidden[self.places[1]], self.root)
            by_member = found.reshape(len(self.posteriors), -1, hidden.shape[1])
            out[self.places[0]] = np.add.reduce(by_member, axis=1) / by_member.shape[1]
        return out

    def deviation(self, heads: Vector, expected: Vector, variance: Vector) -> Vector:
        """Standard deviation of the north star's expectation, shape (m, N).

        Args:
            heads: calibrated, of all members, shape (heads, m, k, N).
            expected: their mean, shape (heads, m, N).
            variance: of the output, by ``own`` and ``shared``, shape (m, N).
        """
        mean = expected[self.star]
        # A variance of 0 stays 0: of models that are not asked, for one.
        out = np.sqrt(variance)
        out *= slope(mean, variance, binary=self.binary)
        for j in self.spread:
            apart = heads[self.star, j] - mean[j]
            np.sqrt(np.add.reduce(apart * apart) / len(apart), out=out[j])
        return out
