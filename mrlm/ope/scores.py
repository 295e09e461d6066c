"""Scores: what an estimator gives for each round; inference consumes nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.rounds import Rounds


@dataclass(frozen=True)
class Scores:
    """Round scores of one estimate: n rounds, m objectives, T ratio terms, P policies.

    The estimate of an objective is a signed sum of ratios of sums over rounds,
    ``sum_t signs[t] * sum_i numerator[i, :, t] / sum_i denominator[i, :, t]``. A plain mean has one
    term with denominator 1, a self-normalised one has the weight there, and the difference of two
    policies has two terms with signs 1 and -1. Rounds whose reward is unknown are 0 in both.

    Attributes:
        estimator: name of the estimator.
        covers_policy_value: False when an interval around the estimate covers the estimator's own
            target only, not the value of the policy.
        objectives: m names.
        policies: P names.
        cluster: user of each round, shape (n,).
        numerator: float64, shape (n, m, T).
        denominator: float64, shape (n, m, T).
        signs: float64, shape (T,).
        used: bool, shape (n, m), where the reward is known.
        nonzero: bool, shape (n, m), where it is known and not zero.
        weight: float64, shape (n, P), importance weights.
        unsupported: float64, shape (n, P), target mass that the logger never shows; NaN if unknown.
        expected_square: float64, shape (n, P), expected squared weight given the context, over the
            logger's choice; NaN if unknown.
        estimand: what the estimate is a value of, see ``mrlm.ope.estimand``.
        share: float64, shape (n, m, P), how much each round counts in the estimate beside its
            weight, in any unit; None where all rounds count alike. Certification weighs by it.
        fitted: whether scores depend on rewards of other rounds of this log, by what the estimator
            fits or by a choice among estimators; no interval's level then holds at every sample
            size.
    """

    estimator: str
    covers_policy_value: bool
    objectives: tuple[str, ...]
    policies: tuple[str, ...]
    cluster: NDArray[Any]
    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]
    signs: NDArray[np.float64]
    used: NDArray[np.bool_]
    nonzero: NDArray[np.bool_]
    weight: NDArray[np.float64]
    unsupported: NDArray[np.float64]
    expected_square: NDArray[np.float64]
    estimand: str = "per decision"
    share: NDArray[np.float64] | None = None
    fitted: bool = False

    def __len__(self) -> int:
        return len(self.cluster)

    @property
    def shares(self) -> NDArray[np.float64]:
        """``share``, with 1 where it is None, float64, shape (n, m, P)."""
        if self.share is None:
            return np.ones((*self.used.shape, len(self.policies)))
        return self.share

    @property
    def value(self) -> NDArray[np.float64]:
        """The estimate, shape (m,); NaN where no round can be used."""
        return ratio_value(self.numerator.sum(0), self.denominator.sum(0), self.signs)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Scores:
        """The scores of the rounds at ``index``, in that order."""
        return replace(
            self,
            cluster=self.cluster[index],
            numerator=self.numerator[index],
            denominator=self.denominator[index],
            used=self.used[index],
            nonzero=self.nonzero[index],
            weight=self.weight[index],
            unsupported=self.unsupported[index],
            expected_square=self.expected_square[index],
            share=None if self.share is None else self.share[index],
        )

    @property
    def influence(self) -> NDArray[np.float64]:
        """Influence of each round on the estimate, shape (n, m); each column sums to 0."""
        return ratio_influence(
            self.numerator,
            self.denominator,
            self.numerator.sum(0),
            self.denominator.sum(0),
            self.signs,
        )


def one_ratio(
    estimator: str,
    covers_policy_value: bool,
    batch: Rounds,
    numerator: NDArray[np.float64],
    denominator: NDArray[np.float64],
    fitted: bool = False,
) -> Scores:
    """Scores of an estimate that is one ratio of sums; both arrays of shape (n, m)."""
    used = batch.used
    if not used.all():
        numerator, denominator = (np.where(used, x, 0.0) for x in (numerator, denominator))
    return Scores(
        estimator=estimator,
        covers_policy_value=covers_policy_value,
        objectives=batch.objectives,
        policies=(batch.policy,),
        cluster=batch.cluster,
        numerator=numerator[:, :, None],
        denominator=denominator[:, :, None],
        signs=np.ones(1),
        used=used,
        nonzero=used & (batch.rewards != 0),
        weight=batch.weight[:, None],
        unsupported=batch.unsupported[:, None],
        expected_square=batch.expected_square[:, None],
        fitted=fitted,
    )


def ratio_value(
    numerator: NDArray[np.float64], denominator: NDArray[np.float64], signs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Signed sum of ratios of totals, each (m, T), shape (m,); NaN where a denominator is 0."""
    value: NDArray[np.float64] = ratios(numerator, denominator) @ signs
    return value


def ratios(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ratios of totals, shape (m, T); NaN where the denominator is 0."""
    out = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out


def ratio_influence(
    numerator: NDArray[np.float64],
    denominator: NDArray[np.float64],
    numerator_total: NDArray[np.float64],
    denominator_total: NDArray[np.float64],
    signs: NDArray[np.float64],
) -> NDArray[np.float64]:
    """First-order influence of rounds or clusters (k, m, T) on the estimate, shape (k, m).

    The delta method for a ratio of sums: (numerator - ratio * denominator) / total denominator;
    Cochran, Sampling Techniques, 3rd ed., section 6.5.
    """
    ratio = ratios(numerator_total, denominator_total)
    safe = np.where(denominator_total != 0, denominator_total, np.nan)
    influence: NDArray[np.float64] = ((numerator - ratio * denominator) / safe) @ signs
    return influence
