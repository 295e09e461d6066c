"""What is told of each epoch of a behaviour model's training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.networks.head_loss import head_loss
from mrlm.behaviour.networks.network import PairNetwork, evaluate
from mrlm.metrics.curves import Curves

Progress = Callable[[int, int], None]
"""Told of epochs done, and epochs in all."""


def of_part(progress: Progress | None, part: int, parts: int) -> Progress | None:
    """What one of several trainings of equal length tells, counted from 0."""
    if progress is None:
        return None
    return lambda done, epochs: progress(part * epochs + done, parts * epochs)


def epoch_told(
    fold: int,
    curves: Curves | None,
    left_out: PairFeatures,
    targets: NDArray[np.float64],
    binary: NDArray[np.bool_],
    epoch: Callable[[], None],
) -> Callable[[PairNetwork, float], None]:
    """What ``train_network`` calls after each epoch of one fold.

    Args:
        fold: from 0.
        curves: takes ``<fold>/loss`` and ``<fold>/held_back_loss`` by epoch, from 1.
        left_out: of the n rows of users that the network does not learn from; every row counts
            alike, whatever those that it learns from weigh.
        targets: of these, float64, shape (n, heads); NaN is left out.
        binary: bool, shape (heads,), see ``head_loss``.
        epoch: called after each.
    """
    known = torch.from_numpy(np.isfinite(targets).astype(np.float64))
    wanted, is_binary = torch.from_numpy(np.nan_to_num(targets)), torch.from_numpy(binary)
    done = 0

    def told(network: PairNetwork, loss: float) -> None:
        nonlocal done
        done += 1
        if curves is not None:
            outputs = torch.from_numpy(evaluate(network, left_out, targets.shape[1]))
            held_back = float(head_loss(outputs, wanted, known, is_binary))
            curves.add(f"{fold}/loss", done, loss)
            curves.add(f"{fold}/held_back_loss", done, held_back)
        epoch()

    return told
