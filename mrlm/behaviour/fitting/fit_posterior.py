"""Fit what the fit nights leave open of a behaviour model's predictions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.bandit_log.users import group
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.features.space import item_table
from mrlm.behaviour.uncertainty.last_layer import LastLayer
from mrlm.behaviour.uncertainty.layer_posterior import (
    LayerPosterior,
    history_share,
    item_share,
    layer_variance,
    satterthwaite,
    slope,
)
from mrlm.behaviour.uncertainty.residual_products import ResidualProducts

Vector = NDArray[np.float64]
_ITERATIONS = 20
# Rows of which covariances are told, spread over all, and the newest that are held back: more would
# cost time and tell nothing that matters.
_ROWS, _HELD_BACK = 1 << 17, 1 << 16
# A variance of a logit beyond this says no more than that nothing is known.
_MOST = 10.0
# A probability that is nearly certain counts as if its outcome had this variance.
_LEAST_NOISE = 1e-3


def with_posterior(model: RewardModel, log: BanditLog, nights: int) -> RewardModel:
    """The model with the uncertainty of its north star.

    The covariance of each member's last layer is Laplace's on the rows that it was fitted on, its
    prior precision the likeliest (MacKay, "Bayesian interpolation", Neural Computation 1992). What
    users and items have of their own is told by rows of the newest nights whose user the member
    never saw, predicted from what was known as each night began: outcomes of one night then say
    together how wrong the model is about a user, and not what it learned from the first of them.
    Where no two of these rows are of one user and night, or of one item, they tell nothing of it:
    the variance of what users, or items, have of their own is then the most that it can be.

    Args:
        model: fitted on the log.
        log: n decisions with at least one final reward of the north star.
        nights: how many of the log's newest nights tell what users and items have of their own.
    """
    column = log.column(model.north_star)
    known = log.where(log.final[:, column] & np.isfinite(log.rewards[:, column]))
    table = item_table(model.space, log.decisions.catalog, np.float64).vectors
    centre = table.mean(axis=0)
    scale = float(np.sqrt(((table - centre) ** 2).sum(axis=1).mean())) or 1.0
    newest = known.on_nights(np.unique(known.night)[-nights:].astype(str).tolist())
    rows = held_back(model, newest.take(np.arange(len(newest))[-_HELD_BACK:]))
    shared = LayerPosterior(_roots(model, known), centre, scale)
    return replace(model, posterior=_with_own(shared, rows, (table - centre) / scale, model))


def _roots(model: RewardModel, log: BanditLog) -> NDArray[np.float64]:
    """``LayerPosterior.root`` of all members."""
    j = model.heads.index(model.north_star)
    k, width = model.networks.head.shape[:2]
    gram, square, count = np.zeros((k, width + 1, width + 1)), np.zeros(k), np.zeros(k)
    every = -(-len(log) // _ROWS)
    some = log.take(np.arange(0, len(log), every))
    reward = some.rewards[:, some.column(model.north_star)]
    for place, part in shown_only(some).blocks():
        fold = user_folds(part.user, k, crc())
        hidden, outputs = model.hidden(part)
        expected = model.calibrated(outputs)[..., j]
        for m in range(k):
            seen = fold != m
            rows = np.column_stack([hidden[m, seen], np.ones(int(seen.sum()))])
            p = expected[m, seen]
            # Rows of a binary reward weigh by their own noise, others by the noise of all.
            told = p * (1 - p) if model.binary[j] else np.ones(len(p))
            gram[m] += rows.T @ (told[:, None] * rows)
            square[m] += ((reward[place][seen] - p) ** 2).sum()
            count[m] += len(p)
    if not model.binary[j]:
        gram /= np.maximum(square / np.maximum(count, 1), 1e-12)[:, None, None]
    gram *= len(log) / len(some)
    calibration = model.calibration[j]
    layer = calibration.slope * np.concatenate(
        [model.networks.head[:, :, j], model.networks.head_bias[:, :, j]], axis=1
    )
    layer[:, -1] += calibration.intercept
    return np.stack([_root(of, own) for of, own in zip(gram, layer, strict=True)])


def _root(gram: Vector, layer: Vector) -> Vector:
    """A root of the posterior's covariance, given the information of the rows and the layer."""
    told, axes = np.linalg.eigh(gram)
    told, square, precision = np.maximum(told, 0.0), max(float(layer @ layer), 1e-6), 1.0
    for _ in range(_ITERATIONS):
        precision = max(float((told / (told + precision)).sum()), 1e-6) / square
    prior = LastLayer(np.zeros(len(layer)), np.eye(len(layer)) / precision)
    # Rows along the axes that say together what all rows said.
    rows = np.sqrt(told)[:, None] * axes.T
    covariance = prior.adapted(rows, np.zeros(len(rows)), np.ones(len(rows))).covariance
    spread, axes = np.linalg.eigh(covariance)
    return np.asarray(axes * np.sqrt(np.maximum(spread, 0.0)))


@dataclass(frozen=True)
class HeldBack:
    """r rows, each predicted by the member that never saw its user, as its night began.

    Attributes:
        decisions: what was shown, looking back from the user's first decision of the night.
        member: int64, shape (r,), the fold of each row's user.
        user, night, item: int64, shape (r,), codes.
        entries: int64, shape (r,), of the history that is looked back on.
        rewards: float64, shape (r,), of the item that the member knows.
        hidden: of the member, as ``PairForward.activate``, shape (r, h).
        expected: expected reward of the north star, shape (r,).
        residual: reward less that, shape (r,).
    """

    decisions: Decisions
    member: NDArray[np.int64]
    user: NDArray[np.int64]
    night: NDArray[np.int64]
    item: NDArray[np.int64]
    entries: NDArray[np.int64]
    rewards: Vector
    hidden: Vector
    expected: Vector
    residual: Vector

    def by_user(self) -> ResidualProducts:
        """Pairs of rows of one user and night."""
        return ResidualProducts.of(self.night * (int(self.user.max(initial=0)) + 1) + self.user)


def held_back(model: RewardModel, log: BanditLog) -> HeldBack:
    """Rows of a log that the model was fitted on, with final rewards of its north star."""
    decisions, user, night = _as_nights_began(log)
    fold, row = user_folds(decisions.user, model.folds, crc()), np.arange(len(log))
    hidden, outputs = model.hidden(decisions)
    j = model.heads.index(model.north_star)
    expected = model.calibrated(outputs[fold, row])[:, j]
    item = decisions.candidates.values.astype(np.int64)
    rewards = np.stack([m.statistics.rows(decisions.catalog) for m in model.members])
    return HeldBack(
        decisions=decisions,
        member=fold,
        user=user,
        night=night,
        item=item,
        entries=decisions.looked_back_on().lengths,
        rewards=rewards[fold, item],
        hidden=np.asarray(hidden[fold, row], np.float64),
        expected=expected,
        residual=log.rewards[:, log.column(model.north_star)] - expected,
    )


def _as_nights_began(log: BanditLog) -> tuple[Decisions, NDArray[np.int64], NDArray[np.int64]]:
    """What was shown, looking back from each user's first decision of the night.

    And codes of users and of nights, both of shape (n,).
    """
    decisions = shown_only(log)
    user = group(decisions.user)[1]
    night = np.unique(log.night, return_inverse=True)[1]
    together = np.unique(night * (int(user.max()) + 1) + user, return_inverse=True)[1]
    first = np.full(int(together.max()) + 1, decisions.ts.max())
    np.minimum.at(first, together, decisions.ts)
    return replace(decisions, ts=first[together]), user, night


def _with_own(
    shared: LayerPosterior, rows: HeldBack, vectors: Vector, model: RewardModel
) -> LayerPosterior:
    """The posterior with the variances of what users and items have of their own."""
    binary = model.binary[model.heads.index(model.north_star)]
    noise = np.full(len(rows.residual), max(float((rows.residual**2).mean()), 1e-12))
    if binary:
        noise = np.maximum(rows.expected * (1 - rows.expected), _LEAST_NOISE)
    by_user = rows.by_user()
    # Of another fold's user the member has seen the outcome: only within a fold both are new.
    same = ResidualProducts.of((rows.night * len(vectors) + rows.item) * model.folds + rows.member)
    by_item = same.where(rows.user[same.first] != rows.user[same.second])
    common = np.zeros(len(noise))
    for m in range(model.folds):
        own = rows.member == m
        common[own] = layer_variance(rows.hidden[own], shared.root[m])
    pairs = _Pairs(by_user, by_item, rows, vectors[rows.item], common, noise, binary)
    return pairs.fitted(shared)


@dataclass(frozen=True)
class _Pairs:
    """Pairs of held-back rows of one user, and of one item, with what their products hang on."""

    by_user: ResidualProducts
    by_item: ResidualProducts
    rows: HeldBack
    vectors: Vector
    common: Vector
    noise: Vector
    binary: bool

    def fitted(self, shared: LayerPosterior) -> LayerPosterior:
        """The posterior with the variances under which the products are as they are."""
        rows, a, b = self.rows, self.by_user.first, self.by_user.second
        # Both rows look back from one moment.
        of_user = history_share(rows.entries[a])
        of_users = [of_user, of_user * np.einsum("pv,pv->p", self.vectors[a], self.vectors[b])]
        of_items = [item_share(rows.rewards[self.by_item.first])]
        found, steep = shared, self._steep(shared)
        for _ in range(_ITERATIONS):
            given = rows.residual, steep, self.noise
            user = self.by_user.variances(*given, of_users)
            item = self.by_item.variances(*given, of_items)
            level, taste = self._within(user)
            (own,) = self._within(item)
            found = replace(found, level=level, taste=taste, item=own)
            steep = self._steep(found)
        given = rows.residual, steep, self.noise
        user_error = self.by_user.error(user, rows.user[a], *given, of_users)
        independent = rows.item[self.by_item.first]
        item_error = self.by_item.error(item, independent, *given, of_items)
        return replace(found, freedom=self._freedom(found, user_error, item_error))

    def _within(self, told: Vector) -> list[float]:
        """Variances within what they can be; where no pair told them, all of it as the first."""
        if np.isnan(told).any():
            unknown = _MOST if self.binary else float((self.rows.residual**2).mean())
            return [unknown, *[0.0] * (len(told) - 1)]
        most = _MOST if self.binary else np.inf
        return [min(float(v), most) for v in told]

    def _steep(self, found: LayerPosterior) -> Vector:
        """How each row's prediction moves: the more is open, the flatter is the curve of it."""
        return slope(self.rows.expected, self._open(found), binary=self.binary)

    def _open(self, found: LayerPosterior) -> Vector:
        length = (self.vectors**2).sum(axis=1)
        return self.common + found.variance(length, self.rows.entries, self.rows.rewards)

    def _freedom(self, found: LayerPosterior, user_error: Vector, item_error: Vector) -> float:
        """Of the mean variance of the rows, users' and items' errors being independent.

        A variance that nothing told is no estimate: it has no error.
        """
        share = history_share(self.rows.entries)
        user = np.array([share.mean(), (share * (self.vectors**2).sum(axis=1)).mean()])
        item = float(item_share(self.rows.rewards).mean())
        errors = float(user @ user_error @ user), item**2 * float(item_error[0, 0])
        return satterthwaite(float(self._open(found).mean()), float(np.nansum(errors)))
