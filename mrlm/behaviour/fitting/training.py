"""Supervised training of one fold's network on the shown items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.networks.head_loss import head_loss
from mrlm.behaviour.networks.network import PairNetwork, PairTensors, network_for
from mrlm.behaviour.networks.threads import one_thread
from mrlm.behaviour.settings import BehaviourSettings


def train_network(
    features: PairFeatures,
    targets: NDArray[np.float64],
    binary: NDArray[np.bool_],
    rows: NDArray[np.int64],
    settings: BehaviourSettings,
    seed: int,
    step: Callable[[PairNetwork, float], None] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> PairNetwork:
    """Fit a network to the targets of some rows; the same seed gives the same weights.

    Args:
        features: of all rows.
        targets: float64, shape (N, heads), standardised where not binary; NaN is left out.
        binary: bool, shape (heads,): cross-entropy of logits, else Huber loss.
        rows: the rows to fit on.
        settings: sizes and rates.
        seed: of weights, order of rows and dropout.
        step: called after each epoch with the network, and the mean loss of the epoch.
        weights: how much each row counts, float64, shape (N,), mean about 1; None: all alike.
    """
    network = network_for(features, settings, targets.shape[1], seed)
    network.standardise_on(features.dense[rows])
    tensors = PairTensors(features)
    counts = np.isfinite(targets) * (1.0 if weights is None else weights[:, None])
    known = torch.from_numpy(counts.astype(np.float32))
    wanted = torch.from_numpy(np.nan_to_num(targets, nan=0.0).astype(np.float32))
    is_binary = torch.from_numpy(binary)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    batches = -(-len(rows) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=settings.learning_rate, total_steps=max(batches * settings.epochs, 2)
    )
    network.train()
    order = torch.Generator().manual_seed(seed)
    with one_thread(), torch.random.fork_rng(devices=[]):
        # Dropout draws from the global generator, which is put back afterwards.
        torch.manual_seed(seed)
        for _ in range(settings.epochs):
            total = 0.0
            shuffled = torch.from_numpy(rows)[torch.randperm(len(rows), generator=order)]
            for index in shuffled.split(settings.batch_size):
                outputs = network(tensors.batch(index))
                loss = head_loss(outputs, wanted[index], known[index], is_binary)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                total += float(loss.detach()) * len(index)
            if step is not None:
                step(network, total / len(rows))
                # Whoever looked at the network may have asked it without dropout.
                network.train()
    network.eval()
    return network
