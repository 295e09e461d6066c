"""What users' rewards tell of items beyond their text: a factor model, kept by item identifier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.last_call import LastCall
from mrlm.behaviour.settings import HistorySettings

Floats = NDArray[np.floating]
# Spread of the loadings that the first round starts from, over all factors together.
_START = 0.3


@dataclass(frozen=True)
class UserRewards:
    """What n shown items brought to their users, all of a user's or none of them.

    Attributes:
        user: int64, shape (n,), a number each.
        item: int32 codes, shape (n,).
        reward: float64, shape (n,), scaled as the history is; NaN is left out.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int32]
    reward: NDArray[np.float64]

    @property
    def known(self) -> UserRewards:
        """Those whose reward is known."""
        known = np.isfinite(self.reward)
        return UserRewards(self.user[known], self.item[known], self.reward[known])


@dataclass(frozen=True)
class ItemFactors:
    """A factor model of one objective: reward = mean of the item + loading · the user's taste.

    A taste is normal with mean 0 and the identity as covariance; so two items that the same users
    liked have loadings that point the same way.

    Attributes:
        objective: its name in the histories.
        noise: variance of a scaled reward that no taste explains.
        item_id: str objects, shape (items with rewards,), sorted.
        mean: float32, shape (items with rewards,), drawn to 0, in units of the scaled reward.
        loading: float32, shape (items with rewards, factors).
    """

    objective: str
    noise: float
    item_id: NDArray[np.object_]
    mean: NDArray[np.float32]
    loading: NDArray[np.float32]
    _padded: dict[type[np.floating], tuple[Floats, Floats]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _rows: LastCall[Catalog, NDArray[np.int64]] = field(
        default_factory=LastCall, init=False, repr=False, compare=False
    )

    def describe(self) -> dict[str, Any]:
        """Everything but the arrays, for JSON."""
        return {
            "objective": self.objective,
            "noise": self.noise,
            "item_id": self.item_id.tolist(),
        }

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """The arrays, for safetensors."""
        return {f"{prefix}mean": self.mean, f"{prefix}loading": self.loading}

    @classmethod
    def from_parts(
        cls, data: dict[str, Any], arrays: dict[str, NDArray[np.float32]], prefix: str
    ) -> ItemFactors:
        """The factors that ``describe`` and ``arrays`` were taken from."""
        item_id = np.array(data["item_id"], object)
        mean, loading = arrays[f"{prefix}mean"], arrays[f"{prefix}loading"]
        return cls(data["objective"], data["noise"], item_id, mean, loading)

    def rows(self, catalog: Catalog) -> NDArray[np.int64]:
        """Row of each item of a catalogue in ``padded``, int64, shape (items,)."""
        return self._rows.of(catalog, self._find)

    def padded(self, precision: type[np.floating] = np.float32) -> tuple[Floats, Floats]:
        """Mean and loading with a row of zeros at the end, for items without a reward.

        Such an item has no loading: a taste says nothing of it.
        """
        if precision not in self._padded:
            mean, loading = np.pad(self.mean, (0, 1)), np.pad(self.loading, ((0, 1), (0, 0)))
            self._padded[precision] = mean.astype(precision), loading.astype(precision)
        return self._padded[precision]

    def _find(self, catalog: Catalog) -> NDArray[np.int64]:
        codes = catalog.codes(self.item_id)
        rows = np.full(len(catalog), len(self.item_id), np.int64)
        rows[codes[codes >= 0]] = np.flatnonzero(codes >= 0)
        return rows


def fit_item_factors(
    objective: str,
    catalog: Catalog,
    parts: Iterable[UserRewards],
    settings: HistorySettings,
    seed: int,
    known: ItemFactors | None = None,
) -> ItemFactors:
    """Factor analysis of the users' rewards, by expectation-maximisation over tastes.

    Each round takes the posterior of every taste given the loadings, and then the loadings that
    fit these posteriors best, drawn to 0. That the posterior's covariance enters keeps items with
    few rewards from being learned by heart. A user's posterior needs that user's rewards alone, and
    the loadings need sums over users: of the rewards, one part is in memory at a time. Source:
    Tipping and Bishop, Probabilistic principal component analysis, 1999, with missing entries as
    in Ilin and Raiko, Practical approaches to principal component analysis in the presence of
    missing values, 2010.

    Args:
        objective: what the rewards are called in the histories.
        catalog: gives the identifiers.
        parts: of the rewards, no user in two of them; gone through at each round.
        settings: sizes and priors.
        seed: of the loadings that the first round starts from.
        known: factors of some of these users, from whose loadings the first round starts instead;
            other items' are 0 there.
    """
    items, mean, many = _items(parts, len(catalog), settings)
    matrices = _Matrices(parts, items, mean)
    if known is None:
        draw = np.random.default_rng(seed).normal(size=(len(items), settings.factors))
        loading = (draw * _START / np.sqrt(settings.factors)).astype(np.float32)
    else:
        loading = known.padded()[1][known.rows(catalog)[items]].astype(np.float32)
    # One part is not made anew in each round.
    kept = list(matrices) if many == 1 else matrices
    for _ in range(settings.rounds):
        loading = _next_loadings(kept, loading, settings)
    return ItemFactors(
        objective, settings.noise, catalog.item_id[items], mean.astype(np.float32), loading
    )


def _items(
    parts: Iterable[UserRewards], items: int, settings: HistorySettings
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Codes of the items with rewards, their means drawn to that of all, and how many parts."""
    overall, rows, many = 0.0, 0, 0
    for part in parts:
        y = part.known.reward
        overall, rows, many = overall + float(y.sum()), rows + len(y), many + 1
    overall /= max(rows, 1)
    count, total = np.zeros(items, np.int64), np.zeros(items)
    for part in parts:
        of = part.known
        count += np.bincount(of.item, minlength=items)
        total += np.bincount(of.item, weights=of.reward - overall, minlength=items)
    seen = np.flatnonzero(count)
    return seen, overall + total[seen] / (count[seen] + settings.mean_prior), many


@dataclass(frozen=True)
class _Matrices:
    """Sparse users × items of each part: what users thought, less the item's mean; how often.

    Attributes:
        parts: of the rewards.
        items: int64, shape (items,), sorted codes.
        mean: float64, shape (items,).
    """

    parts: Iterable[UserRewards]
    items: NDArray[np.int64]
    mean: NDArray[np.float64]

    def __iter__(self) -> Iterator[tuple[sparse.csr_array, sparse.csr_array]]:
        for part in self.parts:
            of = part.known
            item = np.searchsorted(self.items, of.item)
            users, row = np.unique(of.user, return_inverse=True)
            shape = (len(users), len(self.items))
            residual = (of.reward - self.mean[item]).astype(np.float32)
            yield (
                sparse.csr_array((residual, (row, item)), shape=shape),
                sparse.csr_array((np.ones_like(residual), (row, item)), shape=shape),
            )


def _next_loadings(
    matrices: Iterable[tuple[sparse.csr_array, sparse.csr_array]],
    loading: NDArray[np.float32],
    settings: HistorySettings,
) -> NDArray[np.float32]:
    """One round: loadings of the items given the posteriors under those before, (items, factors).

    Args:
        matrices: of users × items, sums of what users thought of items, less their means; and how
            often they met them.
        loading: float32, shape (items, factors).
        settings: sizes and priors.
    """
    d, unit = settings.factors, np.eye(settings.factors, dtype=np.float32)
    noise, prior = np.float32(settings.noise) * unit, np.float32(settings.loading_prior) * unit
    weight: Floats = np.zeros((len(loading), d * (d + 1) // 2), np.float32)
    wanted: Floats = np.zeros_like(loading)
    pairs = products(loading)
    for residual, met in matrices:
        covariance = np.linalg.inv(symmetric(met @ pairs, d) + noise)
        taste = np.einsum("uij,uj->ui", covariance, residual @ loading)
        second = products(taste) + np.float32(settings.noise) * _upper(covariance)
        weight += met.T @ second
        wanted += residual.T @ taste
    found: NDArray[np.float32] = np.linalg.solve(symmetric(weight, d) + prior, wanted[:, :, None])
    return found[:, :, 0]


def products(x: Floats) -> Floats:
    """Products of every two entries of each row, (..., d) to (..., d · (d + 1) / 2)."""
    i, j, _ = _places(x.shape[-1])
    out: Floats = np.take(x, i, axis=-1) * np.take(x, j, axis=-1)
    return out


def symmetric(triangle: Floats, d: int) -> Floats:
    """Symmetric matrices of their upper triangles, (..., d · (d + 1) / 2) to (..., d, d)."""
    full: Floats = np.take(triangle, _places(d)[2], axis=-1)
    return full.reshape(*triangle.shape[:-1], d, d)


def _upper(matrices: Floats) -> Floats:
    """Upper triangles of symmetric matrices, (..., d, d) to (..., d · (d + 1) / 2)."""
    d = matrices.shape[-1]
    i, j, _ = _places(d)
    flat = matrices.reshape(*matrices.shape[:-2], d * d)
    out: Floats = np.take(flat, i * d + j, axis=-1)
    return out


@lru_cache(8)
def _places(d: int) -> tuple[NDArray[np.int64], ...]:
    """Row and column of each entry of an upper triangle, and its place by row · d + column."""
    i, j = np.triu_indices(d)
    place = np.empty((d, d), np.int64)
    place[i, j] = place[j, i] = np.arange(len(i))
    return i, j, place.ravel()
