"""The shown items of the fit nights as the networks of every behaviour model learn from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.objectives import north_star
from mrlm.behaviour.ensemble.calibration import fit_calibration
from mrlm.behaviour.ensemble.fold_model import FoldModel
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.features.space import FeatureSpace
from mrlm.behaviour.features.statistics import (
    ItemStatistics,
    ShownRewards,
    StatisticsOfFolds,
    fit_statistics,
)
from mrlm.behaviour.fitting.cost import LogSize
from mrlm.behaviour.fitting.fit_posterior import with_posterior
from mrlm.behaviour.fitting.outcomes import Each, Outcomes
from mrlm.behaviour.fitting.selection_weights import selection_weights
from mrlm.behaviour.settings import BehaviourSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FitRows:
    """n shown items with what became of them, h heads, and how users are split.

    Attributes:
        log: decisions of the fit nights.
        decisions: these with the shown item as the only candidate.
        heads: the feedback objectives, in the order of the log.
        north_star: one of them.
        outcomes: what became of them, and their users' folds.
        whole: outcomes of all decisions of the log's nights, whole users in each part, where the
            log holds some of their users; None where it holds all.
        binary: bool, shape (h,): whether a head's known rewards are all 0 or 1; a return's, which
            need not be elsewhere, never count as that.
        weights: how much each row counts, float64, shape (n,), mean 1; None: all alike.
        settings: sizes and rates.
    """

    log: BanditLog
    decisions: Decisions
    heads: tuple[str, ...]
    north_star: str
    outcomes: Outcomes
    whole: Iterable[Outcomes] | None
    binary: NDArray[np.bool_]
    weights: Floats | None
    settings: BehaviourSettings

    @classmethod
    def of(
        cls, log: BanditLog, settings: BehaviourSettings, whole: Iterable[Outcomes] | None = None
    ) -> FitRows:
        """The rows of a log.

        Raises:
            ValueError: a fold has no user, the north star has no final reward, or rows are to be
                weighed and one has no propensity.
        """
        columns = [j for j, o in enumerate(log.objectives) if o.source == "feedback"]
        outcomes = Outcomes.of(log, settings)
        rewards = outcomes.rewards
        heads, star = tuple(log.objectives[j].name for j in columns), north_star(log.objectives)
        if not np.isfinite(rewards[:, heads.index(star.name)]).any():
            raise ValueError(
                f"no decision of the fit nights has a final {star.name!r}: ingest more nights, or "
                "check that feedback reaches the log"
            )
        empty = sorted(set(range(settings.folds)) - set(outcomes.fold.tolist()))
        if empty:
            users = len(np.unique(outcomes.user))
            raise ValueError(
                f"no user falls into folds {empty} of {settings.folds}: {users} users are "
                "too few; lower behaviour.folds or add nights"
            )
        clip = settings.selection_clip
        return cls(
            log=log,
            decisions=shown_only(log),
            heads=heads,
            north_star=star.name,
            outcomes=outcomes,
            whole=whole,
            binary=np.array(
                [
                    not log.objectives[j].is_return and _is_binary(rewards[:, k])
                    for k, j in enumerate(columns)
                ]
            ),
            weights=None if clip is None else selection_weights(log, clip),
            settings=settings,
        )

    @property
    def size(self) -> LogSize:
        """How many rows there are, and how long what they look back on is."""
        # Of all rows at once it would be an entry a row and entry of its history.
        entries = sum(len(part.looked_back_on().values) for _, part in self.decisions.blocks())
        return LogSize(len(self.decisions), entries / max(len(self.decisions), 1))

    @property
    def rewards(self) -> Floats:
        """What was observed, NaN where unknown or not final, float64, shape (n, h)."""
        return self.outcomes.rewards

    @cached_property
    def targets(self) -> Floats:
        """The rewards as networks learn them: standardised where a head is not binary, (n, h)."""
        return self._standardised(self.rewards)

    def statistics(self, fold: int, sequence_fold: int | None = None) -> ItemStatistics:
        """What happened with each item to the users outside these folds; for rows of them."""
        shown, prior = self._without(fold, sequence_fold), self.settings.statistics_prior
        return fit_statistics(self.decisions.catalog, shown, prior)

    def statistics_of_folds(self, fold: int, sequence_fold: int | None = None) -> StatisticsOfFolds:
        """The same without a statistics fold: a row that is trained on must not meet itself."""
        shown = self._without(fold, sequence_fold)
        return StatisticsOfFolds.of(shown, self.settings.statistics_prior)

    def _without(self, fold: int, sequence_fold: int | None) -> Iterable[ShownRewards]:
        """Of all decisions, where these are more than the log's."""

        def shown(of: Outcomes) -> ShownRewards:
            kept = of.outside(fold, sequence_fold)
            targets = self._standardised(of.rewards[kept])
            return ShownRewards(of.item[kept], targets, of.statistics_fold[kept])

        return Each([self.outcomes] if self.whole is None else self.whole, shown)

    def _standardised(self, rewards: Floats) -> Floats:
        centre, scale = self._scales
        return (rewards - centre) / scale

    @cached_property
    def _scales(self) -> tuple[Floats, Floats]:
        centre, scale = np.zeros(len(self.heads)), np.ones(len(self.heads))
        for j in np.flatnonzero(~self.binary):
            known = self.rewards[np.isfinite(self.rewards[:, j]), j]
            centre[j] = known.mean()
            scale[j] = known.std() or 1.0
        return centre, scale

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
