"""The baselines that every night has, as peers: they have no settings to choose."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.learners._peers.contract import Score
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.learners.baselines import BASELINES


@dataclass(frozen=True)
class SimpleBaseline:
    """A baseline of ``mrlm.learners.baselines``, by its name there."""

    name: str

    def fit(self, log: BanditLog, shown: PairFeatures) -> Score:
        """See ``Peer``; the log alone is read."""
        scorer = BASELINES[self.name](log, north_star(log.objectives).name)
        return lambda decisions, features: scorer.score(decisions)[:, 0]
