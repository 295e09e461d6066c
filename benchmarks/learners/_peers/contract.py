"""What a peer keeps to: fitted on logged decisions, it scores the candidates of others.

All peers read the features that our reward model reads, are fitted on the same rows, are served
greedily with the same floor, and choose their settings by the same off-policy value of users who
were held back (``mrlm.learners.choice``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.ragged import gather
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.learners.inputs import LearningSample

Floats = NDArray[np.float64]
Score = Callable[[Decisions, PairFeatures], Floats]


class Peer(Protocol):
    """One setting of a peer."""

    @property
    def name(self) -> str:
        """The setting, in tables."""
        ...

    def fit(self, log: BanditLog, shown: PairFeatures) -> Score:
        """Fit on logged decisions; ``shown`` are the features of what was shown, a row each."""
        ...


@dataclass(frozen=True)
class HeldBack:
    """A peer as a contender of ``mrlm.learners.choice``."""

    peer: Peer

    @property
    def name(self) -> str:
        """The peer's."""
        return self.peer.name

    def held_back_scores(
        self, sample: LearningSample, fitted: NDArray[np.int64], held: NDArray[np.int64]
    ) -> Floats:
        """See ``mrlm.learners.choice.Contender``."""
        log, features = sample.log, read_features(sample)
        score = self.peer.fit(log.take(fitted), features.take(log.shown[fitted]))
        flat, _ = gather(log.decisions.offsets, held)
        # Rows of user vectors are those of the decisions that are scored.
        part = features.take(flat)
        row = np.searchsorted(held, part.row)
        own = PairFeatures(part.dense, part.item, row, part.item_vectors, part.user_vectors[held])
        return score(log.decisions.take(held), own)


def read_features(sample: LearningSample) -> PairFeatures:
    """What the reward model reads of every candidate: without what it says of them."""
    features = sample.inputs.features
    read = features.dense.shape[1] - len(sample.scalarisation.objectives) - 1
    return PairFeatures(
        features.dense[:, :read],
        features.item,
        features.row,
        features.item_vectors,
        features.user_vectors,
    )


def star_rewards(log: BanditLog) -> Floats:
    """The north star of every decision, float64, shape (n,)."""
    return log.rewards[:, log.column(north_star(log.objectives).name)]
