"""The loop that learners train a network by: shuffled batches of decisions, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mrlm.behaviour.networks.threads import one_thread
from mrlm.learners.settings import LearningSettings

BatchLoss = Callable[[torch.Tensor], torch.Tensor]
"""Of the rows of a batch, int64, shape (b,): a scalar that is to become small."""
EpochDone = Callable[[int, int, float], None]
"""Told of epochs done, epochs in all, and the mean loss of the last one."""


def train_by_batches(
    network: nn.Module,
    rows: int,
    epoch_loss: Callable[[], BatchLoss],
    settings: LearningSettings,
    seed: int,
    *,
    last_step: float = 1.0,
    after_update: Callable[[], None] | None = None,
    progress: EpochDone | None = None,
) -> None:
    """Change ``network`` by ``settings.epochs`` passes over the log, with AdamW, on one thread.

    The same arguments give the same weights to the bit, and global random state is kept. The
    network is in training mode wherever a batch's loss is asked for, and in evaluation mode in the
    end.

    Args:
        network: its parameters are changed.
        rows: decisions of the log.
        epoch_loss: asked once an epoch, before its first batch, for the loss of that epoch.
        settings: epochs, batch size, step size and weight decay.
        seed: of the order of rows and of dropout.
        last_step: share of the step size that is left at the end, reached in a straight line: 0
            lets what is estimated from noise come to rest.
        after_update: called after every step of the optimiser.
        progress: see ``EpochDone``.
    """
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    updates = settings.epochs * -(-rows // settings.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda done: 1.0 - (1.0 - last_step) * done / updates
    )
    order = torch.Generator().manual_seed(seed)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(settings.epochs):
            batch_loss, total = epoch_loss(), 0.0
            for index in torch.randperm(rows, generator=order).split(settings.batch_size):
                network.train()
                loss = batch_loss(index)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                total += float(loss.detach()) * len(index)
                if after_update is not None:
                    after_update()
            if progress is not None:
                progress(epoch + 1, settings.epochs, total / rows)
    network.eval()
