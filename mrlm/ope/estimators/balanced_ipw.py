"""Balanced importance weighting: weights from a classifier instead of propensities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.user_folds import user_folds
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.estimators.density_ratio import fit_log_ratio, log_ratio
from mrlm.ope.estimators.shrinking import check_at_least
from mrlm.ope.scores import Scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BalancedIPW:
    """Rewards averaged with the odds that a choice is the target's and not the logger's.

    Sondhi, Arbour and Dimmery (2020): a logistic regression on the features of candidates tells
    the target's choices from the logged ones, and its odds balance these features between the two.
    The odds are the importance weights where their logarithm is linear in the features, else the
    estimate is of the policy's value under other weights: its interval covers its own target only,
    with the weights as fitted on other users. Uses no propensity; its diagnostics still speak of
    the true weights.

    Attributes:
        folds: of users, at least 2.
        penalty: see ``fit_log_ratio``.
        coefficients: float64, shape (folds, m, 1 + d), used on each fold's users; None until
            fitted.

    Raises:
        ValueError: fewer than 2 folds, or a penalty of 0 or less, without which choices that the
            features separate would have infinite odds.
    """

    folds: int = 2
    penalty: float = 1.0
    coefficients: Floats | None = field(default=None, compare=False, repr=False)
    name: ClassVar[str] = "balanced_ipw"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[Properties] = Properties(
        unbiased=False,
        covers_policy_value=False,
        on_policy_identity=False,
        shift_equivariant=True,
        scale_equivariant=True,
        constant_reward_zero_width=True,
    )

    def __post_init__(self) -> None:
        check_at_least("folds", self.folds, 2)
        check_at_least("penalty", self.penalty, np.finfo(np.float64).tiny)

    def fit(self, batches: Callable[[], Iterable[EvaluationBatch]]) -> BalancedIPW:
        """The estimator with its classifiers, from about ten passes.

        Raises:
            ValueError: a batch has no features.
        """
        seen = [(len(b.objectives), bool(b.used.all())) for b in batches()]
        m = max(objectives for objectives, _ in seen)
        # Where all rewards are known the objectives share one classifier a fold.
        own = 1 if all(known for _, known in seen) else m

        def training(batch: EvaluationBatch) -> Floats:
            other = user_folds(batch.cluster, self.folds)[:, None] != np.arange(self.folds)
            used = other[:, :, None] & batch.used[:, None, :own]
            found: Floats = used.reshape(len(batch), -1).astype(np.float64)
            return found

        flat = fit_log_ratio(batches, training, self.penalty)
        shared = flat.reshape(self.folds, own, -1)
        return replace(self, coefficients=np.repeat(shared, m // own, axis=1))

    def odds(self, batch: EvaluationBatch) -> Floats:
        """Odds of each round's shown item, float64, shape (n, m).

        Raises:
            ValueError: it is not fitted, or the batch has no features.
        """
        if self.coefficients is None or batch.features is None:
            raise ValueError("fit balanced_ipw on batches with features before asking its odds")
        fold, shown = user_folds(batch.cluster, self.folds), batch.features[batch.shown]
        out = np.empty(batch.rewards.shape)
        for k in range(self.folds):
            out[fold == k] = np.exp(log_ratio(shown[fold == k], self.coefficients[k]))
        return out

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has no features.
        """
        if self.coefficients is None:
            return self.fit(lambda: [batch])(batch)
        weight = self.odds(batch)
        return ratio_scores(self, batch, weight * batch.rewards, weight, fitted=True)
