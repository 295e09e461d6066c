"""What a user's history says of candidates by what other users thought of the same items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Decisions
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.ragged import pieces
from mrlm.behaviour.features.item_factors import ItemFactors
from mrlm.behaviour.features.space import FeatureSpace

Floats = NDArray[np.floating]
# Numbers in the largest array of some states: 2**21 float64 are 16 MiB.
_BLOCK = 1 << 21
# What is said of a candidate under each factor model: mean and standard deviation.
PER_MODEL = 2
Reading = tuple[FeatureSpace, Sequence[ItemFactors]]
"""How rewards of the history are scaled, and the models that read them."""
FactorsOf = Callable[[NDArray[np.integer]], Floats]
"""``factors_by_item`` of items by their codes."""


def taste_features(
    decisions: Decisions,
    space: FeatureSpace,
    models: Sequence[ItemFactors],
    precision: type[np.floating] = np.float32,
) -> Floats:
    """Mean and standard deviation of loading · taste given the history, (N, 2 a model).

    The taste of a decision's user is normal; what the decision looks back on is a linear regression
    on the loadings of the entries, so its posterior is exact: covariance
    noise · (sum v v' + noise · I)^-1 over the entries with a known reward. It is computed once for
    all candidates of a request. A candidate whose item has no loading gets 0 and 0.

    Source: Bishop, Pattern recognition and machine learning, 2006, section 3.3; read as attention,
    the candidate's loading is the query, those of the entries are the keys.

    Args:
        decisions: states and candidates, N in all.
        space: how rewards of the history are scaled.
        models: of any objectives of the space, all of one width.
        precision: as for ``pair_features``.
    """
    if not models:
        return np.zeros((len(decisions.candidates.values), 0), precision)
    pairs = distinct_pairs(decisions)
    return tastes_of(pairs.states, space, models, precision)[pairs.pair]


def tastes_of(
    states: Decisions,
    space: FeatureSpace,
    models: Sequence[ItemFactors],
    precision: type[np.floating] = np.float32,
) -> Floats:
    """``taste_features`` of the distinct states of ``distinct_pairs``, (P, 2 a model)."""

    def items(codes: NDArray[np.integer]) -> Floats:
        return factors_by_item(models, states.catalog, codes, precision)

    return tastes_in(states, [(space, models)], items, precision)


def tastes_in(
    states: Decisions,
    readings: Sequence[Reading],
    items: FactorsOf,
    precision: type[np.floating],
) -> Floats:
    """``tastes_of`` under the models of several spaces, by whoever knows items' factors.

    Args:
        states: distinct ones.
        readings: of which all models have one width.
        items: gives ``factors_by_item`` under all models, in the precision.
        precision: of the result.
    """
    models = [m for _, own in readings for m in own]
    out = np.zeros((len(states.candidates.values), PER_MODEL * len(models)), precision)
    if not models:
        return out
    for part, place in _parts(states, len(models), models[0].loading.shape[1]):
        lengths = part.candidates.lengths
        mask = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
        codes = np.zeros(mask.shape, np.int32)
        codes[mask] = part.candidates.values
        posterior = taste_of(part, readings, items, precision)
        out[place] = posterior.of(items(codes)[..., :-1])[mask]
    return out


def taste_of(
    states: Decisions,
    readings: Sequence[Reading],
    items: FactorsOf,
    precision: type[np.floating],
) -> Posterior:
    """What is known of the tastes of states, whatever is offered; arguments as of ``tastes_in``."""
    models = [m for _, own in readings for m in own]
    if not models:
        return Posterior(np.zeros((1, 0, 1), precision), np.zeros((1, 0, 1, 1), precision))
    seen = states.looked_back_on()
    place, entry = np.unique(seen.values, return_inverse=True)
    entries = _entries(states, place, readings, items, precision)
    d = entries.shape[2] - 1
    # One product a state: several at once, padded to the longest, are no faster.
    sums = np.empty((len(states), len(models), d, d + 1), precision)
    for i in range(len(states)):
        own = entries[entry[seen.offsets[i] : seen.offsets[i + 1]]].swapaxes(0, 1)
        np.matmul(own[..., :d].swapaxes(1, 2), own, out=sums[i])
    noise = np.array([m.noise for m in models], precision)[:, None, None]
    inverse = np.linalg.inv(sums[..., :d] + noise * np.eye(d, dtype=precision))
    return Posterior((inverse @ sums[..., d:])[..., 0], noise * inverse)


def tastes_for(posterior: Posterior, factors: Floats) -> Floats:
    """``taste_features`` of candidates in a posterior's only state, (candidates, 2 a model).

    Args:
        posterior: of one state.
        factors: ``factors_by_item`` of the candidates, in its precision.
    """
    if len(factors) == 0:
        return np.zeros((factors.shape[1], 0), factors.dtype)
    found: Floats = posterior.of(factors[:, None, :, :-1])[0]
    return found


def factors_by_item(
    models: Sequence[ItemFactors],
    catalog: Catalog,
    codes: NDArray[np.integer],
    precision: type[np.floating],
) -> Floats:
    """Loading and then mean of items under each model, (models, *codes, factors + 1)."""
    if not models:
        return np.zeros((0, *codes.shape, 1), precision)
    out = np.empty((len(models), *codes.shape, models[0].loading.shape[1] + 1), precision)
    for of_model, model in zip(out, models, strict=True):
        (mean, loading), row = model.padded(), model.rows(catalog)[codes]
        of_model[..., :-1], of_model[..., -1] = loading[row], mean[row]
    return out


@dataclass(frozen=True)
class Posterior:
    """What is known of the tastes of s states under each factor model.

    Attributes:
        mean: shape (s, models, factors).
        covariance: shape (s, models, factors, factors).
    """

    mean: Floats
    covariance: Floats

    def of(self, loadings: Floats) -> Floats:
        """Mean and standard deviation of loading · taste, (s, r, 2 a model).

        Args:
            loadings: of r candidates of each state, (models, s, r, factors).
        """
        query = loadings.transpose(1, 0, 2, 3)
        mean = (query @ self.mean[..., None])[..., 0]
        variance = ((query @ self.covariance) * query).sum(axis=3)
        found = np.stack([mean, np.sqrt(np.maximum(variance, 0.0))], axis=3)
        states, models, candidates = mean.shape
        return found.transpose(0, 2, 1, 3).reshape(states, candidates, PER_MODEL * models)


def _entries(
    states: Decisions,
    place: NDArray[np.int64],
    readings: Sequence[Reading],
    items: FactorsOf,
    precision: type[np.floating],
) -> Floats:
    """Loading and then reward less the item's mean of entries, 0 where the reward is unknown.

    Of the entries at ``place``, e of them; shape (e, models, factors + 1).
    """
    factors = items(states.histories.item[place]).swapaxes(0, 1)
    # A reward less a mean in double precision, whatever comes after.
    residual = np.concatenate([_rewards(states, place, r) for r in readings], axis=1)
    residual -= factors[..., -1]
    known = np.isfinite(residual)
    out = np.empty(factors.shape, precision)
    np.multiply(factors[..., :-1], known[..., None], out=out[..., :-1])
    out[..., -1] = np.where(known, residual, 0.0)
    return out


def _rewards(states: Decisions, place: NDArray[np.int64], reading: Reading) -> NDArray[np.float64]:
    """Scaled rewards of the entries at ``place``, each model's own, (e, models)."""
    space, models = reading
    names = [h.objective for h in space.history]
    rewards = space.scaled_rewards(states.histories, place).astype(np.float64)
    return rewards[:, [names.index(m.objective) for m in models]]


def _parts(states: Decisions, models: int, factors: int) -> Iterator[tuple[Decisions, slice]]:
    """Consecutive states, as many as memory allows, and the place of their candidates."""
    many, offsets = len(states), states.offsets
    longest = int(states.candidates.lengths.max(initial=0))
    most = max(1, _BLOCK // (models * factors * (factors + longest)))
    windows = np.zeros(many + 1, np.int64)
    np.cumsum(np.maximum(states.until - states.since, 1), out=windows[1:])
    for start, stop in pieces(windows, max(1, _BLOCK // (models * factors))):
        for piece in range(start, stop, most):
            end = min(piece + most, stop)
            part = states.take(np.arange(piece, end))
            yield part, slice(int(offsets[piece]), int(offsets[end]))
