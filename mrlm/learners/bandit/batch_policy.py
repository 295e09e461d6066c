"""The policy that is trained, on a batch: a softmax of scores, mixed with the floor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mrlm.learners.bandit.logged_feedback import FeedbackBatch, LoggedFeedback
from mrlm.learners.settings import LearningSettings

# Decisions that are scored together where no gradient is kept.
_ROWS = 4096


@dataclass(frozen=True)
class BatchPolicy:
    """Probabilities of the candidates of b decisions.

    Attributes:
        probability: shape (b, k), 0 on pads.
        mask: bool, shape (b, k), False on pads.
    """

    probability: torch.Tensor
    mask: torch.Tensor

    @classmethod
    def of(
        cls, scores: torch.Tensor, mask: torch.Tensor, settings: LearningSettings
    ) -> BatchPolicy:
        """softmax(score / temperature) with the share ``floor`` uniform; scores -inf on pads."""
        core = torch.softmax(scores / settings.temperature, dim=1)
        uniform = mask / mask.sum(1, keepdim=True)
        return cls((1.0 - settings.floor) * core + settings.floor * uniform, mask)

    def shown(self, batch: FeedbackBatch) -> torch.Tensor:
        """Probability of each decision's shown item, shape (b,)."""
        return self.probability.gather(1, batch.action[:, None])[:, 0]

    def weight(self, batch: FeedbackBatch, clip: float) -> torch.Tensor:
        """Importance weight of what was shown, at most ``clip``, shape (b,)."""
        return (self.shown(batch) / batch.propensity).clamp(max=clip)

    def value(self, batch: FeedbackBatch) -> torch.Tensor:
        """Expected reward of each decision by the values of its candidates, shape (b,)."""
        return torch.where(self.mask, self.probability * batch.value, 0.0).sum(1)

    def divergence(self, batch: FeedbackBatch) -> torch.Tensor:
        """KL(policy | logger) of each decision in nats, shape (b,)."""
        # Pads have probability 0; 1 in its place keeps the logarithm and its gradient finite.
        log_policy = torch.where(self.mask, self.probability, 1.0).log()
        return torch.where(self.mask, self.probability * (log_policy - batch.logger), 0.0).sum(1)


def log_weights(
    network: nn.Module, feedback: LoggedFeedback, settings: LearningSettings
) -> torch.Tensor:
    """Clipped importance weight of every logged decision as the network is now, shape (n,).

    Without dropout and without a gradient.
    """
    network.eval()
    weights = []
    with torch.no_grad():
        for rows in torch.arange(len(feedback)).split(_ROWS):
            scores, batch = feedback.batch(network, rows)
            policy = BatchPolicy.of(scores, batch.mask, settings)
            weights.append(policy.weight(batch, settings.weight_clip))
    return torch.cat(weights)
