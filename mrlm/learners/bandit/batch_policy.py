"""The policy that is trained, on a batch: a softmax of scores, mixed with the floor."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mrlm.learners.bandit.logged_feedback import FeedbackBatch
from mrlm.learners.settings import LearningSettings


@dataclass(frozen=True)
class BatchPolicy:
    """What a policy does in b logged decisions.

    Attributes:
        probability: of each candidate, shape (b, k), 0 on pads.
        logged: the decisions.
    """

    probability: torch.Tensor
    logged: FeedbackBatch

    @classmethod
    def of(
        cls, scores: torch.Tensor, logged: FeedbackBatch, settings: LearningSettings
    ) -> BatchPolicy:
        """softmax(score / temperature) with the share ``floor`` uniform; scores -inf on pads."""
        core = torch.softmax(scores / settings.temperature, dim=1)
        uniform = logged.mask / logged.mask.sum(1, keepdim=True)
        return cls((1.0 - settings.floor) * core + settings.floor * uniform, logged)

    def shown(self) -> torch.Tensor:
        """Probability of each decision's shown item, shape (b,)."""
        return self.probability.gather(1, self.logged.action[:, None])[:, 0]

    def weight(self) -> torch.Tensor:
        """Importance weight of what was shown, shape (b,)."""
        return self.shown() / self.logged.propensity

    def value(self) -> torch.Tensor:
        """Expected reward of each decision by the values of its candidates, shape (b,)."""
        return torch.where(self.logged.mask, self.probability * self.logged.value, 0.0).sum(1)

    def divergence(self) -> torch.Tensor:
        """KL(policy | logger) of each decision in nats, shape (b,)."""
        mask = self.logged.mask
        # Pads have probability 0; 1 in its place keeps the logarithm and its gradient finite.
        log_policy = torch.where(mask, self.probability, 1.0).log()
        return torch.where(mask, self.probability * (log_policy - self.logged.logger), 0.0).sum(1)
