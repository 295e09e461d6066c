"""Training of the network over a user's entries, until users held back gain no more."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mrlm.behaviour.networks.head_loss import head_loss
from mrlm.behaviour.networks.threads import one_thread
from mrlm.behaviour.sequence.event_network import EventBatch, EventNetwork
from mrlm.behaviour.sequence.event_rows import EntryRows
from mrlm.behaviour.sequence_settings import SequenceSettings

# Of a training's steps, those in which the rate rises.
_WARM = 0.1
_LONGEST_GRADIENT = 1.0
Told = Callable[[int, float, float], None]
"""Told of the passes done, the mean loss of the last one, and that of the users held back."""


def fit_events(
    events: EntryRows,
    rows: NDArray[np.int64],
    user: NDArray[np.int64],
    targets: NDArray[np.float64],
    binary: NDArray[np.bool_],
    settings: SequenceSettings,
    seed: int,
    told: Told | None = None,
) -> EventNetwork:
    """A network fitted to the targets of some rows; the same seed gives the same on one processor.

    Some of the users are held back: the network is that of the pass after which it predicted them
    best.

    Args:
        events: of all rows.
        rows: to fit on, those held back among them.
        user: int64 codes of all rows' users, shape (n,).
        targets: float64, shape (n, outputs), standardised where not binary; NaN is left out.
        binary: bool, shape (outputs,), see ``head_loss``.
        settings: sizes and rates.
        seed: of first weights, users held back, order and dropout.
        told: called after each pass.
    """
    draw = np.random.default_rng(seed)
    users = draw.permutation(np.unique(user[rows]))
    apart = np.isin(user[rows], users[: math.ceil(settings.held_back * len(users))])
    learned, held = rows[~apart], rows[apart]
    device = device_of(settings)
    half = settings.precision == "bfloat16" or (
        settings.precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    )
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(seed)
        network = EventNetwork(
            vector=events.vectors.shape[1],
            statistics=events.statistics.shape[2],
            values=events.values.shape[1],
            outputs=targets.shape[1],
            settings=settings,
        )
        version, item = events.version[events.of_row[learned]], events.candidate[learned]
        network.encoder.standardise_on(events.statistics[version, item])
        network.to(device)

        def loss(numbers: NDArray[np.int64], batch: EventBatch) -> torch.Tensor:
            own = targets[np.maximum(numbers, 0)]
            known = np.isfinite(own) & (numbers >= 0)[..., None]
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                outputs = network(moved(batch, device))
            return head_loss(
                outputs.float().flatten(0, 1),
                torch.from_numpy(np.nan_to_num(own).astype(np.float32)).flatten(0, 1).to(device),
                torch.from_numpy(known.astype(np.float32)).flatten(0, 1).to(device),
                torch.from_numpy(binary).to(device),
            )

        _train(network, events, learned, held, loss, settings, draw, told)
    network.cpu().eval()
    return network


def _train(
    network: EventNetwork,
    events: EntryRows,
    learned: NDArray[np.int64],
    held: NDArray[np.int64],
    loss: Callable[[NDArray[np.int64], EventBatch], torch.Tensor],
    settings: SequenceSettings,
    draw: np.random.Generator,
    told: Told | None,
) -> None:
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    size = settings.batch_entries
    best, kept, since = math.inf, copy.deepcopy(network.state_dict()), 0
    for epoch in range(settings.epochs):
        network.train()
        batches = list(events.batches(learned, size, draw))
        losses = []
        for step, (numbers, batch) in enumerate(batches):
            done = (epoch + step / len(batches)) / settings.epochs
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * rate_at(done)
            found = loss(numbers, batch)
            optimiser.zero_grad()
            found.backward()
            nn.utils.clip_grad_norm_(network.parameters(), _LONGEST_GRADIENT)
            optimiser.step()
            losses.append(float(found.detach()))
        apart = _mean_loss(network, events, held, loss, size)
        if told is not None:
            told(epoch + 1, float(np.mean(losses or [0.0])), apart)
        since += 1
        if apart < best:
            best, kept, since = apart, copy.deepcopy(network.state_dict()), 0
        if since == settings.patience:
            break
    network.load_state_dict(kept)


def _mean_loss(
    network: EventNetwork,
    events: EntryRows,
    rows: NDArray[np.int64],
    loss: Callable[[NDArray[np.int64], EventBatch], torch.Tensor],
    size: int,
) -> float:
    network.eval()
    total = 0.0
    with torch.inference_mode():
        for numbers, batch in events.batches(rows, size, None):
            total += float(loss(numbers, batch)) * int((numbers >= 0).sum())
    return total / max(len(rows), 1)


def device_of(settings: SequenceSettings) -> torch.device:
    """Where networks over entries are trained on this machine."""
    on_gpu = settings.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")


def moved(batch: EventBatch, device: torch.device) -> EventBatch:
    """The batch on a device."""
    return EventBatch(**{name: tensor.to(device) for name, tensor in vars(batch).items()})


def rate_at(done: float) -> float:
    """Share of the highest rate after this share of the training: a rise, half a cosine to 0."""
    if done < _WARM:
        return max(done / _WARM, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (done - _WARM) / (1 - _WARM)))
