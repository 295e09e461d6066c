"""MRDR: doubly robust with the reward model that makes its own variance least."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.user_folds import user_folds
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.estimators.shrinking import check_at_least
from mrlm.ope.scores import Scores

Batches = Callable[[], Iterable[EvaluationBatch]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MRDR:
    """DR whose linear q minimises the variance of DR, fitted on other users.

    Farajtabar, Chow and Ghavamzadeh (2018), section 4. With q = phi(x, a) . beta the score is
    ``w r - beta . (w phi(x, a) - sum_a target phi(x, a))``, so the beta of least variance is the
    regression of ``w r`` on the bracket; here with the empirical variance in place of the paper's
    expectation over actions, so that only the shown item's propensity is needed. phi is 1, the
    batch's features and its predictions q, where there are any: with q alone it recalibrates q, and
    IPS, DR and IPS with the weight as control variate are all among its choices. Unbiased, since no
    user's beta saw the user's own rounds; exactly so where q is from another log, while a q that is
    cross-fitted on this one leaves a trace of each user in the q of those its beta is fitted on.

    Attributes:
        folds: of users, at least 2.
        penalty: of all coefficients but that of 1, in rounds of standardised columns.
        coefficients: float64, shape (folds, m, p), used on each fold's users; None until fitted.

    Raises:
        ValueError: fewer than 2 folds, or a negative penalty.
    """

    folds: int = 5
    penalty: float = 10.0
    coefficients: Floats | None = field(default=None, compare=False, repr=False)
    name: ClassVar[str] = "mrdr"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[Properties] = Properties(
        unbiased=True,
        covers_policy_value=True,
        on_policy_identity=False,
        shift_equivariant=True,
        scale_equivariant=True,
        constant_reward_zero_width=True,
    )

    def __post_init__(self) -> None:
        check_at_least("folds", self.folds, 2)
        check_at_least("penalty", self.penalty, 0.0)

    def fit(self, batches: Batches) -> MRDR:
        """The estimator with its coefficients, from two passes.

        Raises:
            ValueError: a batch has neither features nor predictions.
        """
        rows, total = (sum(s) for s in zip(*(self._sums(b) for b in batches()), strict=True))
        # Moments around a common point near the mean: no two large numbers are subtracted.
        centre = total.sum(0) / np.maximum(rows.sum(0), 1)[:, None]
        first, second, size = (
            sum(s) for s in zip(*(self._moments(b, centre) for b in batches()), strict=True)
        )
        coefficients = np.empty((*first.shape[:2], first.shape[2] - 1))
        for k, j in np.ndindex(*first.shape[:2]):
            other = np.arange(self.folds) != k
            coefficients[k, j] = _least_variance(
                rows[other, j].sum(),
                first[other, j].sum(0),
                second[other, j].sum(0),
                size[other, j].sum(0),
                self.penalty,
            )
        return replace(self, coefficients=coefficients)

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has neither features nor predictions.
        """
        if self.coefficients is None:
            return self.fit(lambda: [batch])(batch)
        fold = user_folds(batch.cluster, self.folds)
        numerator = np.empty(batch.rewards.shape)
        for j in range(len(batch.objectives)):
            shown, expected = _columns(batch, j)
            beta = self.coefficients[fold, j]
            residual = batch.rewards[:, j] - np.vecdot(shown, beta)
            numerator[:, j] = np.vecdot(expected, beta) + batch.weight * residual
        return ratio_scores(self, batch, numerator, fitted=True)

    def _sums(self, batch: EvaluationBatch) -> tuple[NDArray[np.int64], Floats]:
        """Known rewards by fold and objective, and sums of what is regressed, (folds, m, p + 1)."""
        rows, sums = [], []
        for _, here, values, _ in self._folded(batch):
            rows.append(here.sum())
            sums.append(values[here].sum(0))
        shape = (self.folds, len(batch.objectives))
        return np.reshape(rows, shape), np.reshape(sums, (*shape, -1))

    def _moments(self, batch: EvaluationBatch, centre: Floats) -> tuple[Floats, Floats, Floats]:
        """First and second moments around the centre, and squares of the weighted columns."""
        first, second, size = [], [], []
        for j, here, values, weighted in self._folded(batch):
            part = values[here] - centre[j]
            first.append(part.sum(0))
            second.append(part.T @ part)
            size.append((weighted[here] ** 2).sum(0))
        shape = (self.folds, len(batch.objectives))
        p = centre.shape[1]
        return (
            np.reshape(first, (*shape, p)),
            np.reshape(second, (*shape, p, p)),
            np.reshape(size, (*shape, p - 1)),
        )

    def _folded(
        self, batch: EvaluationBatch
    ) -> Iterable[tuple[int, NDArray[np.bool_], Floats, Floats]]:
        """By fold and objective: its rows, the regressors and w r, (n, p + 1), and w phi."""
        fold = user_folds(batch.cluster, self.folds)
        weight = batch.weight[:, None]
        found = []
        for j in range(len(batch.objectives)):
            shown, expected = _columns(batch, j)
            weighted = weight * shown
            product = weight * batch.rewards[:, j, None]
            found.append((np.concatenate([weighted - expected, product], axis=1), weighted))
        for k in range(self.folds):
            for j, (values, weighted) in enumerate(found):
                yield j, (fold == k) & batch.used[:, j], values, weighted


def _columns(batch: EvaluationBatch, j: int) -> tuple[Floats, Floats]:
    """The model's columns at the shown item and their means under the target, each (n, p)."""
    if batch.features is None and batch.q is None:
        raise ValueError(
            "mrdr needs features of every candidate, or predicted rewards q; give the batch one of "
            "them, or use snips"
        )
    ones = np.ones((len(batch), 1))
    shown, expected = [ones], [ones]
    if batch.features is not None:
        shown.append(batch.features[batch.shown])
        expected.append(batch.expected_features)
    if batch.q is not None:
        shown.append(batch.q[batch.shown, j, None])
        expected.append(batch.direct[:, j, None])
    return np.concatenate(shown, axis=1), np.concatenate(expected, axis=1)


def _least_variance(
    rows: np.int64, first: Floats, second: Floats, size: Floats, penalty: float
) -> Floats:
    """Ridge coefficients of the last column on the others, shape (p,), from their moments.

    The coefficient of 1, the first column, is free, and the others are penalised by what they vary
    beyond it: a number added to the rewards, or to a feature, changes nothing else. A column whose
    variance is what rounding leaves gets 0; so do all without rows.
    """
    beta = np.zeros(len(size))
    if rows == 0:
        return beta
    covariance = second - np.outer(first, first) / rows
    slope = np.zeros(len(covariance))
    if covariance[0, 0] > 1e-24 * size[0]:
        slope = covariance[0] / covariance[0, 0]
    left = covariance - np.outer(slope, covariance[0])
    square, cross = left[1:-1, 1:-1], left[1:-1, -1]
    varied = np.diag(square) > 1e-12 * size[1:]
    scale = np.where(varied, np.sqrt(np.where(varied, np.diag(square), 1.0)), np.inf)
    system = square / scale[:, None] / scale + penalty / float(rows) * np.eye(len(scale))
    beta[1:] = np.linalg.lstsq(system, cross / scale, rcond=1e-13)[0] / scale
    beta[0] = slope[-1] - slope[1:-1] @ beta[1:]
    return beta
