"""Policies scored on judged decisions, and what they are worth where rewards are unknown too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlm.evidence.criteria import Criteria
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.evidence.unknown_rewards import UnknownRewards
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.difference import difference
from mrlm.ope.intervals import estimates
from mrlm.ope.logging_policy import logger_scores
from mrlm.ope.propensity import flagged
from mrlm.ope.registry import ESTIMATORS
from mrlm.ope.scores import Scores
from mrlm.ope.state.state import EvaluationState

if TYPE_CHECKING:
    from mrlm.ope.propensity import EstimatedPropensities

_Worst = tuple[NDArray[np.float64], NDArray[np.float64]]


def _as_it_is(scores: Scores) -> Scores:
    return scores


@dataclass(frozen=True)
class ScoredPolicies:
    """Policies on the same n decisions; each is scored by an estimator when it is first asked.

    Attributes:
        batches: policy to the decisions with its probabilities. ``logger`` is whoever made each
            row: its value is that of what was shown.
        unknown: rewards that were not delivered; None where there are none.
        estimated: what is known of estimated propensities; None: all were logged.
        criteria: of the estimates.
        usual: float64, shape (m,), the reward of each objective where nothing happened. Decisions
            with another one are those that an interval needs: a thousand without a complaint say
            nothing of how often there is one.
    """

    batches: Mapping[str, EvaluationBatch]
    unknown: UnknownRewards | None
    estimated: EstimatedPropensities | None
    criteria: Criteria
    usual: NDArray[np.float64]
    _plain: dict[tuple[str, str], Scores] = field(default_factory=dict)
    # The worst rewards are those of a pair of policies, whatever estimates them.
    _extremes: dict[tuple[str, str], _Worst] = field(default_factory=dict)

    def plain(self, policy: str, name: str) -> Scores:
        """Scores of a policy by an estimator, as if every propensity were known."""
        if (policy, name) not in self._plain:
            self._plain[policy, name] = self._score(policy, name)
        return self._plain[policy, name]

    def scores(self, policy: str, name: str) -> Scores:
        """The same, with what is not known of estimated propensities."""
        return self._marked(self.plain(policy, name))

    def estimates(
        self,
        name: str,
        policy: str,
        rival: str = "",
        then: Callable[[Scores], Scores] = _as_it_is,
        among: NDArray[np.bool_] | None = None,
        level: float | None = None,
    ) -> dict[str, PolicyEstimate]:
        """Objective to the estimate of a policy, or of its difference to a rival.

        Where a reward is unknown, the interval reaches as far as it could move either end.

        Args:
            name: the estimator's.
            policy: whose value it is.
            rival: that is subtracted, on the same decisions; empty: none is.
            then: what is made of the scores before they are summed.
            among: the decisions that count, bool, shape (n,); None: all.
            level: of the interval; None: that of ``criteria``.
        """
        pair = [policy, *([rival] if rival else [])]
        by = self.criteria if level is None else replace(self.criteria, level=level)

        def estimated(of: Mapping[str, Scores]) -> dict[str, PolicyEstimate]:
            found = difference(of[policy], of[rival]) if rival else of[policy]
            return _estimates(then(found if among is None else found.take(among)), by)

        plain = estimated({p: self.scores(p, name) for p in pair})
        if self.unknown is None:
            return plain
        low, high = (
            estimated({p: self._marked(self._score(p, name, rewards)) for p in pair})
            for rewards in self._worst_rewards(self.unknown, policy, rival, among)
        )
        return {o: plain[o].widened(low[o], high[o]) for o in plain}

    def _worst_rewards(
        self,
        unknown: UnknownRewards,
        policy: str,
        rival: str,
        among: NDArray[np.bool_] | None,
    ) -> _Worst:
        """Rewards that make the estimate as small and as large as it can be."""
        if among is None and (policy, rival) in self._extremes:
            return self._extremes[policy, rival]
        coefficient = self._weight(policy) - (self._weight(rival) if rival else 0.0)
        if among is not None:
            # Whatever is lost may have been lost in this group.
            coefficient = coefficient * among
        found = unknown.at_worst(coefficient, -1), unknown.at_worst(coefficient, 1)
        if among is None:
            self._extremes[policy, rival] = found
        return found

    def _weight(self, policy: str) -> NDArray[np.float64]:
        own = self.batches[policy]
        return np.ones(len(own.weight)) if policy == "logger" else own.weight

    def _score(self, policy: str, name: str, rewards: NDArray[np.float64] | None = None) -> Scores:
        """Scores of a policy, of other rewards than the log's where they are given."""
        own = self.batches[policy]
        own = own if rewards is None else replace(own, rewards=rewards)
        estimator = ESTIMATORS[name]
        found = logger_scores(own, estimator) if policy == "logger" else estimator(own)
        happened = found.used & (own.rewards != self.usual)
        return replace(found, nonzero=np.where(self.usual == 0, found.nonzero, happened))

    def _marked(self, scores: Scores) -> Scores:
        if self.estimated is None:
            return scores
        return flagged(scores, self.criteria.no_hidden_confounding)


def _estimates(scores: Scores, criteria: Criteria) -> dict[str, PolicyEstimate]:
    found = estimates(EvaluationState.of(scores), criteria.level, criteria.thresholds)
    return {name: PolicyEstimate.of(e) for name, e in found.items()}
