"""What users' rewards tell of items beyond their text: a factor model, kept by item identifier."""

from __future__ import annotations

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
    user: NDArray[np.int64],
    codes: NDArray[np.int32],
    rewards: NDArray[np.float64],
    settings: HistorySettings,
    seed: int,
) -> ItemFactors:
    """Factor analysis of the users' rewards, by expectation-maximisation over tastes.

    Each round takes the posterior of every taste given the loadings, and then the loadings that
    fit these posteriors best, drawn to 0. That the posterior's covariance enters keeps items with
    few rewards from being learned by heart. Source: Tipping and Bishop, Probabilistic principal
    component analysis, 1999, with missing entries as in Ilin and Raiko, Practical approaches to
    principal component analysis in the presence of missing values, 2010.

    Args:
        objective: what the rewards are called in the histories.
        catalog: gives the identifiers.
        user: int64 codes, shape (n,).
        codes: item of each row, shape (n,).
        rewards: float64, shape (n,), scaled as the history is; NaN is left out.
        settings: sizes and priors.
        seed: of the loadings that the first round starts from.
    """
    known = np.isfinite(rewards)
    items, item = np.unique(codes[known], return_inverse=True)
    users, row = np.unique(user[known], return_inverse=True)
    y = rewards[known]
    overall = float(y.mean()) if len(y) else 0.0
    count = np.bincount(item, minlength=len(items))
    total = np.bincount(item, weights=y - overall, minlength=len(items))
    mean = overall + total / (count + settings.mean_prior)
    shape = (len(users), len(items))
    residual = (y - mean[item]).astype(np.float32)
    loading = _loadings(
        sparse.csr_array((residual, (row, item)), shape=shape),
        sparse.csr_array((np.ones_like(residual), (row, item)), shape=shape),
        settings,
        seed,
    )
    return ItemFactors(
        objective,
        settings.noise,
        catalog.item_id[items],
        mean.astype(np.float32),
        loading,
    )


def _loadings(
    residual: sparse.csr_array, met: sparse.csr_array, settings: HistorySettings, seed: int
) -> NDArray[np.float32]:
    """Loadings of the items, float32, shape (items, factors), of sparse users × items.

    Args:
        residual: sum of what a user thought of an item, less the item's mean.
        met: how often.
        settings: sizes and priors.
        seed: of the start.
    """
    d, unit = settings.factors, np.eye(settings.factors, dtype=np.float32)
    noise, prior = np.float32(settings.noise) * unit, np.float32(settings.loading_prior) * unit
    draw = np.random.default_rng(seed)
    start = draw.normal(size=(residual.shape[1], d)) * _START / np.sqrt(d)
    loading: NDArray[np.float32] = start.astype(np.float32)
    for _ in range(settings.rounds):
        covariance = np.linalg.inv(symmetric(met @ products(loading), d) + noise)
        taste = np.einsum("uij,uj->ui", covariance, residual @ loading)
        second = products(taste) + np.float32(settings.noise) * _upper(covariance)
        weight = symmetric(met.T @ second, d) + prior
        loading = np.linalg.solve(weight, (residual.T @ taste)[:, :, None])[:, :, 0]
    return loading


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
