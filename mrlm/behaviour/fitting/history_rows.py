"""Tastes of the rows that a behaviour model is fitted on: none knows its own user's outcome."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.behaviour.features.item_factors import ItemFactors, UserRewards, fit_item_factors
from mrlm.behaviour.features.space import FeatureSpace, HistoryScale
from mrlm.behaviour.features.taste import PER_MODEL, taste_features
from mrlm.behaviour.fitting.outcomes import Each, Outcomes
from mrlm.behaviour.settings import HistorySettings

# Rounds that go on over all decisions from what some users' told. The first finds every item by the
# tastes that these tell of all users, the second by those that all items tell.
_ROUNDS_OF_ALL = 2


@dataclass(frozen=True)
class HistoryRows:
    """n shown items of the fit nights, and what factors are fitted to.

    Attributes:
        decisions: with the shown item as the only candidate.
        space: fitted scales.
        outcomes: of these decisions.
        whole: outcomes of all decisions of the nights, where these are some of them; else None.
        columns: of the outcomes, those that the histories name, each with its scale.
        settings: sizes and priors.
    """

    decisions: Decisions
    space: FeatureSpace
    outcomes: Outcomes
    whole: Iterable[Outcomes] | None
    columns: tuple[tuple[int, HistoryScale], ...]
    settings: HistorySettings

    @classmethod
    def of(
        cls,
        log: BanditLog,
        shown: Decisions,
        space: FeatureSpace,
        settings: HistorySettings,
        outcomes: Outcomes,
        whole: Iterable[Outcomes] | None = None,
    ) -> HistoryRows:
        """The rows of a log; objectives that the histories do not name have no factors.

        Histories hold what each slot brought by itself, and so do these rewards.
        """
        names = [o.name for o in log.objectives if o.source == "feedback"]
        columns = tuple(
            (names.index(scale.objective), scale)
            for scale in space.history
            if scale.objective in names
        )
        return cls(shown, space, outcomes, whole, columns, settings)

    def factors(
        self, fold: int, seed: int, factors_fold: int | None = None
    ) -> tuple[ItemFactors, ...]:
        """A factor model for each objective, fitted without these folds' users.

        Where the rows are some of a night's, they say which way tastes point, and all decisions
        then say where each item lies.
        """
        return tuple(
            self._factors(column, scale, fold, factors_fold, seed) for column, scale in self.columns
        )

    def _factors(
        self, column: int, scale: HistoryScale, fold: int, factors_fold: int | None, seed: int
    ) -> ItemFactors:
        def rewards(of: Outcomes) -> UserRewards:
            kept = of.fold != fold
            if factors_fold is not None:
                kept &= of.factors_fold != factors_fold
            reward = np.asarray(scale.of(of.by_itself[kept, column]), np.float64)
            return UserRewards(of.user[kept], of.item[kept], reward)

        name, catalog = scale.objective, self.decisions.catalog
        found = fit_item_factors(name, catalog, [rewards(self.outcomes)], self.settings, seed)
        if self.whole is None:
            return found
        settings = self.settings.model_copy(update={"rounds": _ROUNDS_OF_ALL})
        return fit_item_factors(name, catalog, Each(self.whole, rewards), settings, seed, found)

    def tastes(self, fold: int, factors: tuple[ItemFactors, ...], seed: int) -> NDArray[np.float64]:
        """``taste_features`` of all n rows, (n, 2 an objective).

        Args:
            fold: whose users ``factors`` were fitted without: their rows are read by these. Each
                other row is read by factors that were fitted without its user's share of the
                other users too.
            factors: of that fold.
            seed: as given for the factors.
        """
        out = np.zeros((len(self.decisions), PER_MODEL * len(factors)))
        held = np.flatnonzero(self.outcomes.fold == fold)
        out[held] = taste_features(self.decisions.take(held), self.space, factors)
        for k in range(self.settings.folds):
            own = np.flatnonzero((self.outcomes.fold != fold) & (self.outcomes.factors_fold == k))
            others = self.factors(fold, seed, k)
            out[own] = taste_features(self.decisions.take(own), self.space, others)
        return out
