"""A policy that is known on the log, put into a network's scores so that it can be served."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.learners.network import ScoreNetwork
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone, train_by_batches


def distil(
    network: ScoreNetwork,
    log_policy: NDArray[np.float64],
    seen: Experience,
    settings: LearningSettings,
    seed: int,
    progress: EpochDone | None = None,
) -> None:
    """Train the softmax of a network's scores towards a policy, by cross-entropy.

    What decides the policy on the log, such as the logger's probabilities, is not known of coming
    decisions; the network learns it from their features.

    Args:
        network: is changed; one that ranks alike is a good start.
        log_policy: float64, shape (N,), -inf where the policy never goes.
        seen: the log.
        settings: epochs, sizes and rates.
        seed: of the order of rows and of dropout.
        progress: see ``EpochDone``.
    """
    goal = torch.from_numpy(np.exp(log_policy).astype(np.float32))

    def loss(index: torch.Tensor) -> torch.Tensor:
        place, mask = seen.sets.places(index)
        own = torch.log_softmax(seen.sets.scores(network, place, mask), dim=1)
        return -torch.where(mask, goal[place] * own, 0.0).sum(1).mean()

    train_by_batches(
        network, len(seen), lambda: loss, settings, seed, last_step=0.0, progress=progress
    )
