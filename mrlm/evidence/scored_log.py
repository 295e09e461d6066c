"""What policies and a reward model say of every candidate of a log, asked block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import gather
from mrlm.policies.asking.one_asking import all_in_one_pass
from mrlm.policies.predictions import by_objective

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.policies.contract import Policy, Scorer


@dataclass(frozen=True)
class ScoredLog:
    """A log of n decisions with N candidates, and what is said of these.

    Attributes:
        log: the decisions.
        probabilities: policy name to the probability of every candidate, float64, shape (N,).
        q: predicted reward of every candidate and objective of the log, float64, shape (N, m);
            None without a reward model.
    """

    log: BanditLog
    probabilities: Mapping[str, NDArray[np.float64]]
    q: NDArray[np.float64] | None

    def of(self, other: BanditLog) -> ScoredLog | None:
        """The same of a log whose decisions are those of one night here; None where they are not.

        Args:
            other: read by itself, with propensities of its own.
        """
        index = np.flatnonzero(np.isin(self.log.night, np.unique(other.night)))
        if not np.array_equal(self.log.decision_id[index], other.decision_id):
            return None
        flat, _ = gather(self.log.decisions.offsets, index)
        return replace(
            self,
            log=other,
            probabilities={name: p[flat] for name, p in self.probabilities.items()},
            q=None if self.q is None else self.q[flat],
        )


def scored_log(
    log: BanditLog, policies: Mapping[str, Policy], reward_model: Scorer | None
) -> ScoredLog:
    """Ask all policies and the model of one block of decisions, then of the next.

    Policies share models and anchors, and a model keeps what it said of the last block: it is
    computed once, however many ask, models of one shape in one pass, and no uncertainty that has
    no weight.

    Args:
        log: n decisions with N candidates.
        policies: by name.
        reward_model: with a head for every objective that comes from feedback; None: no ``q``.

    Raises:
        KeyError: the model has no head for an objective.
    """
    many = len(log.decisions.candidates.values)
    probabilities = {name: np.empty(many) for name in policies}
    policies, reward_model = all_in_one_pass(policies, reward_model)
    names = () if reward_model is None else reward_model.columns
    heads = np.empty((many, len(names)))
    for place, part in log.decisions.blocks():
        if reward_model is not None:
            heads[place] = reward_model.score(part)
        for name, policy in policies.items():
            probabilities[name][place] = np.exp(policy.log_probabilities(part))
    if reward_model is None:
        return ScoredLog(log, probabilities, None)
    by_name = dict(zip(names, heads.T, strict=True))
    return ScoredLog(log, probabilities, by_objective(log, log.objectives, by_name))
