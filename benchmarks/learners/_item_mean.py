"""Always the item with the best mean: three lines, and the first thing that a reviewer asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.learners._peers import Floats, Score, star_rewards
from mrlm.bandit_log import BanditLog, Decisions
from mrlm.behaviour.features import PairFeatures


@dataclass(frozen=True)
class ItemMean:
    """Mean north star of each item, with ``prior`` rows of the overall mean added to its own."""

    prior: float

    @property
    def name(self) -> str:
        """The prior."""
        return f"prior {self.prior:g}"

    def fit(self, log: BanditLog, shown: PairFeatures) -> Score:
        """See ``Peer``."""
        reward, items = star_rewards(log), len(log.decisions.catalog)
        total = np.bincount(shown.item, weights=reward - reward.mean(), minlength=items)
        mean = total / (np.bincount(shown.item, minlength=items) + self.prior)

        def score(decisions: Decisions, features: PairFeatures) -> Floats:
            return np.asarray(mean[features.item], np.float64)

        return score


SETTINGS = tuple(ItemMean(prior) for prior in (1.0, 4.0, 16.0))
