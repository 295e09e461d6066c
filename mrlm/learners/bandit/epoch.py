"""What a bandit learner may read before it makes another pass over the log."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.logged_feedback import LoggedFeedback
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.settings import LearningSettings

# Decisions that are scored together where no gradient is kept.
_ROWS = 4096


@dataclass(frozen=True)
class Epoch:
    """The network as it is now, and the whole log.

    Attributes:
        network: is trained in the epoch.
        feedback: n decisions.
        settings: of the learners.
    """

    network: ScoreNetwork
    feedback: LoggedFeedback
    settings: LearningSettings

    def clipped_weights(self) -> torch.Tensor:
        """Importance weight of every logged decision, at most ``weight_clip``, shape (n,).

        As the network is now, without dropout and without a gradient.
        """
        self.network.eval()
        weights = []
        with torch.no_grad():
            for rows in torch.arange(len(self.feedback)).split(_ROWS):
                policy = BatchPolicy.of(*self.feedback.batch(self.network, rows), self.settings)
                weights.append(policy.weight().clamp(max=self.settings.weight_clip))
        return torch.cat(weights)
