"""A doubly robust off-policy policy gradient over candidate sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.logged_policy import logging_log_probabilities
from mrlm.behaviour.threads import one_thread
from mrlm.learners.inputs import LearningInputs, LearningSample
from mrlm.learners.network import CandidateSets, ScoreNetwork, make_score_network
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.settings import LearningSettings


@dataclass(frozen=True)
class PolicyGradient:
    """Maximises the doubly robust value of a softmax policy, less a price on leaving the logger.

    For decision i with logged propensity p_i, cross-fitted values q and floored policy pi:

        sum_a pi(a) q(a) + min(pi(a_i) / p_i, clip) (r_i - q(a_i)) - divergence KL(pi | logger)

    The first sum is over the whole candidate set, so its gradient is exact; the second is the
    weighted residual of the shown item, and is 0 in expectation where q is right. Source: Dudik et
    al., Doubly robust policy evaluation and optimization, 2014. Where the log has no propensities
    of all candidates, the divergence is from uniform.
    """

    name: str = "policy_gradient"

    def looks_ahead(self, settings: LearningSettings) -> bool:
        """It does not: a decision is judged by its own reward."""
        return False

    def learn(
        self,
        sample: LearningSample,
        settings: LearningSettings,
        seed: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> LearnedScorer:
        """Learn on the fit nights; see ``Learner``."""
        log, inputs = sample.log, sample.inputs
        network = make_score_network(inputs.features, settings, seed, gain=1.0)
        train(network, log, inputs, settings, seed, progress)
        return LearnedScorer(self.name, network, sample.reward_model, sample.scalarisation)


def train(
    network: ScoreNetwork,
    log: BanditLog,
    inputs: LearningInputs,
    settings: LearningSettings,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Change ``network`` by ``settings.epochs`` passes over the log."""
    sets = CandidateSets(inputs.features, log.decisions.offsets)
    value = torch.from_numpy(inputs.value.astype(np.float32))
    logger = torch.from_numpy(logging_log_probabilities(log).astype(np.float32))
    residual = torch.from_numpy(inputs.residual.astype(np.float32))
    propensity = torch.from_numpy(log.propensity.astype(np.float32))
    action = torch.from_numpy(log.action)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    order = torch.Generator().manual_seed(seed)
    network.train()
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(settings.epochs):
            for index in torch.randperm(len(log), generator=order).split(settings.batch_size):
                place, mask = sets.places(index)
                objective = doubly_robust_objective(
                    sets.scores(network, place, mask),
                    mask,
                    value[place],
                    logger[place],
                    action[index],
                    propensity[index],
                    residual[index],
                    settings,
                )
                optimiser.zero_grad()
                (-objective).backward()
                optimiser.step()
            if progress is not None:
                progress(epoch + 1, settings.epochs)
    network.eval()


def doubly_robust_objective(
    scores: torch.Tensor,
    mask: torch.Tensor,
    value: torch.Tensor,
    logger: torch.Tensor,
    action: torch.Tensor,
    propensity: torch.Tensor,
    residual: torch.Tensor,
    settings: LearningSettings,
) -> torch.Tensor:
    """What is maximised, mean over a batch, a scalar.

    Args:
        scores: shape (b, k), -inf on pads.
        mask: bool, shape (b, k).
        value: q of each candidate, shape (b, k); anything on pads.
        logger: log probability under the logger, shape (b, k); anything on pads.
        action: int64, shape (b,), column of the shown item.
        propensity: shape (b,).
        residual: r - q of the shown item, shape (b,).
        settings: floor, clip and divergence.
    """
    core = torch.softmax(scores / settings.temperature, dim=1)
    uniform = mask / mask.sum(1, keepdim=True)
    policy = (1.0 - settings.floor) * core + settings.floor * uniform
    direct = torch.where(mask, policy * value, 0.0).sum(1)
    shown = policy.gather(1, action[:, None])[:, 0]
    weight = (shown / propensity).clamp(max=settings.weight_clip)
    # Pads have probability 0; 1 in its place keeps the logarithm and its gradient finite.
    log_policy = torch.where(mask, policy, 1.0).log()
    divergence = torch.where(mask, policy * (log_policy - logger), 0.0).sum(1)
    return (direct + weight * residual - settings.divergence * divergence).mean()
