"""Tastes of the rows that a behaviour model is fitted on: none knows its own user's outcome."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.bandit_log.users import group
from mrlm.behaviour.features.item_factors import ItemFactors, fit_item_factors
from mrlm.behaviour.features.space import FeatureSpace
from mrlm.behaviour.features.taste import PER_MODEL, taste_features
from mrlm.behaviour.settings import HistorySettings


@dataclass(frozen=True)
class HistoryRows:
    """n shown items of the fit nights, and what factors are fitted to.

    Attributes:
        decisions: with the shown item as the only candidate.
        space: fitted scales.
        rewards: objective to final rewards, scaled as in the history, float64, shape (n,); NaN
            where unknown.
        user: int64 codes, shape (n,).
        fold: int64, shape (n,), of each row's user.
        settings: sizes and priors.
    """

    decisions: Decisions
    space: FeatureSpace
    rewards: dict[str, NDArray[np.floating]]
    user: NDArray[np.int64]
    fold: NDArray[np.int64]
    settings: HistorySettings

    @classmethod
    def of(
        cls, log: BanditLog, shown: Decisions, space: FeatureSpace, settings: HistorySettings
    ) -> HistoryRows:
        """The rows of a log; objectives that the histories do not name have no factors.

        Histories hold what each slot brought by itself, and so do these rewards.
        """
        names = [o.name for o in log.objectives]
        final = log.by_itself.known
        return cls(
            decisions=shown,
            space=space,
            rewards={
                scale.objective: scale.of(final[:, names.index(scale.objective)])
                for scale in space.history
                if scale.objective in names
            },
            user=group(shown.user)[1],
            fold=user_folds(shown.user, settings.folds, crc("factors")),
            settings=settings,
        )

    def factors(self, rows: NDArray[np.int64], seed: int) -> tuple[ItemFactors, ...]:
        """A factor model for each objective, fitted on these rows."""
        codes = self.decisions.candidates.values[rows]
        return tuple(
            fit_item_factors(
                objective,
                self.decisions.catalog,
                self.user[rows],
                codes,
                rewards[rows].astype(np.float64),
                self.settings,
                seed,
            )
            for objective, rewards in self.rewards.items()
        )

    def tastes(
        self, rows: NDArray[np.int64], factors: tuple[ItemFactors, ...], seed: int
    ) -> NDArray[np.float64]:
        """``taste_features`` of all n rows, (n, 2 an objective).

        Args:
            rows: what ``factors`` were fitted on. Each of them is read by factors that were fitted
                without its user's share of the users; the others by ``factors``.
            factors: of these rows.
            seed: as given for the factors.
        """
        out = np.zeros((len(self.user), PER_MODEL * len(factors)))
        held = np.setdiff1d(np.arange(len(self.user)), rows, assume_unique=True)
        out[held] = taste_features(self.decisions.take(held), self.space, factors)
        for k in range(self.settings.folds):
            own = rows[self.fold[rows] == k]
            others = self.factors(rows[self.fold[rows] != k], seed)
            out[own] = taste_features(self.decisions.take(own), self.space, others)
        return out
