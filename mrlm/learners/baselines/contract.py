"""The contract of the baselines' family: a simple score, fitted on what was shown."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mrlm.bandit_log import BanditLog
from mrlm.learners.baselines.item_sums import ItemSums
from mrlm.policies.contract import Scorer


@runtime_checkable
class Baseline(Protocol):
    """What fits a simple score of candidates on logged decisions."""

    def __call__(self, log: BanditLog, objective: str, whole: ItemSums | None = None) -> Scorer:
        """Fit on the decisions whose reward is known and final.

        Args:
            log: decisions of the fit nights; it is not changed.
            objective: name of the objective that is to be high, such as the north star.
            whole: sums over all decisions of the log's nights, where the log holds those of some
                users: what is one number an item is taken from these.

        Returns:
            A scorer with one column of the baseline's name, which is its kind too. It knows items
            by their identifier, so it scores the catalogue of any night. The same arguments give
            the same scores to the bit.

        Raises:
            KeyError: the log has no such objective.
        """
        ...
