"""The shown items of the fit nights as the networks of every behaviour model learn from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.ensemble.calibration import fit_calibration
from mrlm.behaviour.ensemble.fold_model import FoldModel
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.features.space import FeatureSpace
from mrlm.behaviour.features.statistics import ItemStatistics, StatisticsOfFolds, fit_statistics
from mrlm.behaviour.fitting.fit_posterior import with_posterior
from mrlm.behaviour.fitting.selection_weights import selection_weights
from mrlm.behaviour.settings import BehaviourSettings

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class FitRows:
    """n shown items with what became of them, h heads, and how users are split.

    Attributes:
        log: decisions of the fit nights.
        decisions: these with the shown item as the only candidate.
        heads: the feedback objectives, in the order of the log.
        north_star: one of them.
        rewards: float64, shape (n, h); NaN where unknown or not final.
        binary: bool, shape (h,): whether a head's known rewards are all 0 or 1; a return's, which
            need not be elsewhere, never count as that.
        weights: how much each row counts, float64, shape (n,), mean 1; None: all alike.
        fold: int64, shape (n,), of each row's user; member k learns from the other folds.
        inner: int64, shape (n,), of each row's user: its item statistics leave that share out.
        settings: sizes and rates.
    """

    log: BanditLog
    decisions: Decisions
    heads: tuple[str, ...]
    north_star: str
    rewards: Floats
    binary: NDArray[np.bool_]
    weights: Floats | None
    fold: Rows
    inner: Rows
    settings: BehaviourSettings

    @classmethod
    def of(cls, log: BanditLog, settings: BehaviourSettings) -> FitRows:
        """The rows of a log.

        Raises:
            ValueError: a fold has no user, the north star has no final reward, or rows are to be
                weighed and one has no propensity.
        """
        columns = [j for j, o in enumerate(log.objectives) if o.source == "feedback"]
        rewards = np.where(log.final[:, columns], log.rewards[:, columns], np.nan)
        heads, star = tuple(log.objectives[j].name for j in columns), north_star(log.objectives)
        if not np.isfinite(rewards[:, heads.index(star.name)]).any():
            raise ValueError(
                f"no decision of the fit nights has a final {star.name!r}: ingest more nights, or "
                "check that feedback reaches the log"
            )
        user = log.decisions.user
        fold = user_folds(user, settings.folds, crc())
        empty = sorted(set(range(settings.folds)) - set(fold.tolist()))
        if empty:
            raise ValueError(
                f"no user falls into folds {empty} of {settings.folds}: {len(set(user))} users are "
                "too few; lower behaviour.folds or add nights"
            )
        clip = settings.selection_clip
        return cls(
            log=log,
            decisions=shown_only(log),
            heads=heads,
            north_star=star.name,
            rewards=rewards,
            binary=np.array(
                [
                    not log.objectives[j].is_return and _is_binary(rewards[:, k])
                    for k, j in enumerate(columns)
                ]
            ),
            weights=None if clip is None else selection_weights(log, clip),
            fold=fold,
            inner=user_folds(user, settings.statistics_folds, crc("statistics")),
            settings=settings,
        )

    @cached_property
    def targets(self) -> Floats:
        """The rewards as networks learn them: standardised where a head is not binary, (n, h)."""
        centre, scale = np.zeros(len(self.heads)), np.ones(len(self.heads))
        for j in np.flatnonzero(~self.binary):
            known = self.rewards[np.isfinite(self.rewards[:, j]), j]
            centre[j] = known.mean()
            scale[j] = known.std() or 1.0
        return (self.rewards - centre) / scale

    def statistics(self, rows: Rows) -> ItemStatistics:
        """What happened with each item in these rows; for rows that are not among them."""
        codes = self.decisions.candidates.values[rows]
        prior = self.settings.statistics_prior
        return fit_statistics(self.decisions.catalog, codes, self.targets[rows], prior)

    def statistics_of_folds(self, rows: Rows) -> StatisticsOfFolds:
        """The same without an inner fold's users: a row that is trained on must not meet itself."""
        codes = self.decisions.candidates.values[rows]
        return StatisticsOfFolds.of(
            codes, self.targets[rows], self.inner[rows], self.settings.statistics_prior
        )

    def model(self, space: FeatureSpace, members: list[FoldModel], outputs: Floats) -> RewardModel:
        """The calibrated ensemble with its uncertainty.

        Args:
            space: what the members read by.
            members: one a fold.
            outputs: of every row by the member that did not learn from its user, shape (n, h).
        """
        calibration = tuple(
            fit_calibration(outputs[:, j], self.rewards[:, j], bool(binary), self.weights)
            for j, binary in enumerate(self.binary)
        )
        model = RewardModel(self.heads, self.north_star, space, tuple(members), calibration)
        return with_posterior(model, self.log, self.settings.uncertainty_nights)


def _is_binary(rewards: Floats) -> bool:
    known = rewards[np.isfinite(rewards)]
    return bool(np.isin(known, (0.0, 1.0)).all())
