"""Least squares of the logged actions' Q on targets that move with a frozen copy."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.target_network import TargetNetwork
from mrlm.learners.sequential.td_targets import squared_error
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone, train_by_batches


def regress_q(
    network: nn.Module,
    target: TargetNetwork[nn.Module],
    goal_of: Callable[[torch.Tensor], torch.Tensor],
    seen: Experience,
    settings: LearningSettings,
    seed: int,
    progress: EpochDone | None = None,
) -> None:
    """Change a network of m outputs by ``settings.epochs`` passes over the log.

    Args:
        network: of Q.
        target: its frozen copy.
        goal_of: of decisions, int64, shape (b,): their targets, shape (b, m), without a gradient.
        seen: the log.
        settings: epochs, sizes and rates.
        seed: of the order of rows and of dropout.
        progress: see ``EpochDone``.
    """

    def loss(index: torch.Tensor) -> torch.Tensor:
        # What looks ahead does so without dropout.
        network.eval()
        goal = goal_of(index)
        network.train()
        shown = seen.sets.vectors(network, *seen.shown(index))[:, 0]
        return squared_error(shown, goal, seen.counted[index])

    train_by_batches(
        network,
        len(seen),
        lambda: loss,
        settings,
        seed,
        last_step=0.0,
        after_update=target.after_update,
        progress=progress,
    )
