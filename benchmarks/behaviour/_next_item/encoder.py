"""The next item by the encoder of ``sequence`` under a softmax over the catalogue.

The encoder is the behaviour model's own, ``EventEncoder``, with items known by identifier alone and
ratings as what was known of an entry. Each state is to tell the item of the next entry: all
positions of a user's newest entries are learned from in one pass, beside negatives that a batch
shares, drawn uniformly, whose logits are raised by the logarithm of how many items each stands for
(Bengio and Senécal, "Adaptive importance sampling to accelerate training of a neural probabilistic
language model", 2008). What a user met is no negative of that user. What it starts from says
``encoder_start``; rates rise and fall as in a night's training.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from benchmarks.behaviour._next_item.encoder_start import start_from
from benchmarks.behaviour._next_item.ml_100k import Sequences
from mrlm.bandit_log import Ragged
from mrlm.behaviour.networks.threads import one_thread
from mrlm.behaviour.sequence.event_network import EventEncoder
from mrlm.behaviour.sequence.event_rows import padded
from mrlm.behaviour.sequence.event_training import rate_at
from mrlm.behaviour.sequence_settings import SequenceSettings

Floats = NDArray[np.float64]
Valued = Callable[["NextEvent"], float]


@dataclass(frozen=True)
class NextEventSettings:
    """How it is trained.

    Attributes:
        encoder: sizes.
        length: newest entries of a user that are read.
        negatives: drawn a batch.
        batch: users in a step.
        epochs: passes over which the rate rises and falls.
        learning_rate: highest of AdamW.
        weight_decay: of AdamW.
    """

    encoder: SequenceSettings
    length: int = 50
    negatives: int = 512
    batch: int = 64
    epochs: int = 15
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2


class NextEvent(nn.Module):  # type: ignore[misc]
    """Logits of all items after each entry."""

    def __init__(self, items: int, settings: NextEventSettings) -> None:
        super().__init__()
        encoder = settings.encoder.model_copy(update={"buckets": items})
        self.encoder = EventEncoder(vector=0, statistics=0, values=1, settings=encoder)
        self.after = nn.LayerNorm(encoder.width)
        self.drop = nn.Dropout(encoder.dropout)
        self.level = nn.Parameter(torch.zeros(items))
        self.register_buffer("codes", torch.arange(items))

    def items(self, codes: torch.Tensor) -> torch.Tensor:
        """What is read of items, by which they are told as well, (codes, width)."""
        none = torch.zeros(len(codes), 0)
        return self.encoder.items(none, none, codes)

    def states(self, entries: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """After the start and each entry, (B, L + 1, width)."""
        read = self.items(self.codes)
        return self.after(self.encoder(self.drop(read[entries]), values[:, :, None]))

    def scores(self, known: Sequences, place: NDArray[np.int64], length: int) -> Floats:
        """Logits of all items for the users of ratings, from what came before, (n, items).

        Args:
            known: the sequences that are read.
            place: of the ratings among them, shape (n,).
            length: newest entries that are read.
        """
        self.eval()
        first = known.offsets[known.user[place]]
        out = np.empty((len(place), known.items))
        with one_thread(), torch.inference_mode():
            own = self.items(self.codes)
            for rows in np.array_split(np.arange(len(place)), -(-len(place) // 128)):
                since = np.maximum(first[rows], place[rows] - length)
                entries, values, lengths = _read(known, since, place[rows])
                states = self.states(entries, values)[torch.arange(len(rows)), lengths]
                out[rows] = (states @ own.T + self.level).numpy()
        return out


def fit_next_event(
    known: Sequences,
    told: NDArray[np.bool_],
    settings: NextEventSettings,
    seed: int,
    every: int = 1,
    value: Valued | None = None,
) -> tuple[NextEvent, int, float]:
    """Learn from the ratings of ``known`` at which ``told`` is true, shape (n,).

    Args:
        known: all sequences.
        told: what may be learned from.
        settings: sizes and rates.
        seed: of first weights, order, dropout and negatives.
        every: passes after which ``value`` is asked.
        value: of a model, the higher the better; None: the model is that of the last pass.

    Returns:
        The best model, the epochs of it, and processor seconds of training, its start included.
    """
    train = known.where(told)
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(seed)
        begun = time.process_time()
        model = NextEvent(known.items, settings)
        start_from(model.encoder, model.level, train, seed)
        optimiser = torch.optim.AdamW(
            model.parameters(), weight_decay=settings.weight_decay, fused=True
        )
        draw, seconds = np.random.default_rng(seed), time.process_time() - begun
        best, kept, at = -math.inf, copy.deepcopy(model.state_dict()), settings.epochs
        for epoch in range(settings.epochs):
            begun = time.process_time()
            _pass(model, train, settings, optimiser, epoch, draw)
            seconds += time.process_time() - begun
            if value is not None and (epoch + 1) % every == 0 and (found := value(model)) > best:
                best, kept, at = found, copy.deepcopy(model.state_dict()), epoch + 1
        if value is not None:
            model.load_state_dict(kept)
    return model, at, seconds


def _pass(
    model: NextEvent,
    train: Sequences,
    settings: NextEventSettings,
    optimiser: torch.optim.Optimizer,
    epoch: int,
    draw: np.random.Generator,
) -> None:
    model.train()
    stop = train.offsets[1:]
    since = np.maximum(train.offsets[:-1], stop - settings.length - 1)
    more = math.log(train.items / settings.negatives)
    batches = list(_batches(np.flatnonzero(stop - since > 0), stop - since, settings.batch, draw))
    for step, users in enumerate(batches):
        done = (epoch + step / len(batches)) / settings.epochs
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate_at(done)
        entries, values, lengths = _read(train, since[users], stop[users])
        # The last one is told, and not read.
        states = model.states(entries[:, :-1], values[:, :-1])
        known = torch.arange(entries.shape[1]) < lengths[:, None]
        state, wanted = states[known], entries[known]
        drawn = draw.integers(0, train.items, settings.negatives)
        # What a user met is never ranked for that user; to its own neighbours it would be likest.
        met = torch.from_numpy(train.met(users[:, None], drawn)).repeat_interleave(lengths, dim=0)
        other = torch.from_numpy(drawn)
        right = (state * model.items(wanted)).sum(1) + model.level[wanted]
        wrong = state @ model.items(other).T + model.level[other] + more
        wrong = wrong.masked_fill(met, -torch.inf)
        loss = (functional.softplus(wrong.logsumexp(1) - right)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _batches(
    users: NDArray[np.int64], length: NDArray[np.int64], size: int, draw: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Users in an order drawn anew, those of about one length together."""
    order = users[np.argsort(length[users] * draw.uniform(0.7, 1.3, len(users)), kind="stable")]
    parts = [order[i : i + size] for i in range(0, len(order), size)]
    for i in draw.permutation(len(parts)):
        yield parts[i]


def _read(
    known: Sequences, since: NDArray[np.int64], until: NDArray[np.int64]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Items and scaled ratings of ranges of ratings, padded, and how many there are of each."""
    lengths = until - since
    offsets = np.append(0, np.cumsum(lengths))
    flat = np.arange(offsets[-1]) + np.repeat(since - offsets[:-1], lengths)
    values = ((known.rating - 3.5) / 1.1).astype(np.float32)
    return (
        torch.from_numpy(padded(Ragged(offsets, known.item[flat]), np.int64(0))),
        torch.from_numpy(padded(Ragged(offsets, values[flat]), np.float32(0))),
        torch.from_numpy(lengths),
    )
