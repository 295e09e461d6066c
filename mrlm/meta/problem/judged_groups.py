"""The groups by which the gate will judge a challenger, as the search is given them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mrlm.bandit_log import BanditLog
from mrlm.privacy.decision_groups import group_labels

# Chance that the gate passes a group whose lift lies on the edge of the search, where it judges on
# a log of the same size.
_PASSES = 0.8


@dataclass(frozen=True)
class JudgedGroups:
    """Groups of n rounds; of each of k kinds every round is in one group.

    Attributes:
        code: int64, shape (n, k), places in ``names``.
        names: kind and name of each group.
        z: standard errors by which a group's estimated lift is raised before it is held against
            minus the margin; below 0 it is lowered.
        held: objective, and place in ``names``, of what a search holds to that.
    """

    code: NDArray[np.int64]
    names: tuple[tuple[str, str], ...]
    z: float
    held: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, log: BanditLog, least_users: int, error: float) -> JudgedGroups:
        """Of a log's decisions, as the gate will tell them apart.

        Args:
            log: n decisions.
            least_users: of a group that is judged alone.
            error: that the groups share in the gate, ``gate.group_error``.
        """
        codes: list[NDArray[np.int64]] = []
        names: list[tuple[str, str]] = []
        for kind, label in group_labels(log, least_users).items():
            own, code = np.unique(label, return_inverse=True)
            codes.append(code + len(names))
            names += [(kind, str(name)) for name in own]
        code = np.stack(codes, axis=1) if codes else np.zeros((len(log), 0), np.int64)
        return cls(code, tuple(names), search_z(error, len(names)))

    def rounds(self, index: NDArray[np.int64]) -> JudgedGroups:
        """Of some of the rounds, by their places."""
        return replace(self, code=self.code[index])

    def holding(self, more: Iterable[tuple[str, int]]) -> JudgedGroups:
        """The same, holding these too."""
        return replace(self, held=(*self.held, *more))


def search_z(error: float, groups: int) -> float:
    """Standard errors by which a search raises a group's lift before it holds it against a margin.

    The gate refuses where the upper bound at ``error`` / ``groups`` lies below. Its log errs too,
    so its estimate is normal around the search's with twice the variance of one; on the edge of
    the search it passes with ``_PASSES``.
    """
    return float(ndtri(1 - error / max(groups, 1)) - np.sqrt(2) * ndtri(_PASSES))
