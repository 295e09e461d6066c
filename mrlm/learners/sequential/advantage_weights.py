"""The logger's policy weighed by exp(advantage / temperature): improvement that stays in the log.

The policy that maximises the expected Q less ``temperature`` times its KL divergence from the
logger is pi(a) = logger(a) exp(Q(a) / temperature) / Z: Peng, Kumar, Zhang and Levine,
Advantage-weighted regression, 2019. What the state is worth cancels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.sequential.distilled_policy import distil
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.td_targets import BatchScores
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone


def advantage_weighted(
    target: ScoreNetwork, logger: torch.Tensor, temperature: float, seen: Experience
) -> BatchScores:
    """That policy on batches, 0 on pads.

    Args:
        target: gives Q.
        logger: log probability of every candidate, float32, shape (N,).
        temperature: above 0.
        seen: the log.
    """

    def policy(place: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        scores = seen.sets.scores(target, place, mask) / temperature
        return torch.softmax(scores + logger[place], dim=1)

    return policy


def distil_advantage(
    network: ScoreNetwork,
    logger: NDArray[np.float64],
    temperature: float,
    seen: Experience,
    settings: LearningSettings,
    seed: int,
    progress: EpochDone | None = None,
) -> None:
    """Make that policy of a network of Q; the regression sums over all candidates of a set.

    Args:
        network: of Q before, of the policy's logits after.
        logger: log probability of every candidate, float64, shape (N,).
        temperature: above 0.
        seen: the log.
        settings: epochs, sizes and rates.
        seed: of the order of rows and of dropout.
        progress: see ``EpochDone``.
    """
    network.rescale(1.0 / temperature)
    log_policy = segment_log_softmax(
        logger + evaluate(network, seen.features, 1)[:, 0], seen.offsets
    )
    distil(network, log_policy, seen, settings, seed, progress)
