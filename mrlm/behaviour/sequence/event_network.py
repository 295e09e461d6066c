"""The network that reads a user's entries and says what the user will do with candidates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from mrlm.behaviour.sequence_settings import SequenceSettings

# Distances between entries that are told apart: 0, 1, 2 to 3, 4 to 7 and so on.
DISTANCES = 12
# What is known of an item farther from the mean than this many deviations counts as that far.
CLIP = 5.0


@dataclass(frozen=True)
class EventBatch:
    """B lists of entries, padded to L each, and R rows of each that ask for a candidate.

    Attributes:
        vectors: item vectors of the distinct items, shape (i, vector).
        statistics: what happened with these items, shape (i, statistics).
        bucket: int64, shape (i,), row of the identifiers' table.
        entries: int64, shape (B, L), item of each entry.
        values: what was known of each entry, shape (B, L, values).
        seen: int64, shape (B, R), how many entries of its list each row sees.
        candidates: int64, shape (B, R), items.
    """

    vectors: torch.Tensor
    statistics: torch.Tensor
    bucket: torch.Tensor
    entries: torch.Tensor
    values: torch.Tensor
    seen: torch.Tensor
    candidates: torch.Tensor


class EventEncoder(nn.Module):  # type: ignore[misc]
    """States of a user after each entry: a causal transformer.

    An entry is its item and what was known of it; it sees itself and those before it. Every list
    begins with one learned state, which is all that a user without entries has. Attention knows
    how far an entry lies back by a learned number for each range of distances.

    An item is its vector, what happened with it, and a row of a table that its identifier is hashed
    into. The table begins at 0: an item that nobody met is read without, as is one whose identifier
    was left out (identifier dropout).
    """

    def __init__(
        self, *, vector: int, statistics: int, values: int, settings: SequenceSettings
    ) -> None:
        super().__init__()
        width = settings.width
        self.identifiers = nn.Embedding(settings.buckets, settings.identifier)
        nn.init.zeros_(self.identifiers.weight)
        self.item = nn.Linear(vector + statistics + settings.identifier, width, bias=False)
        self.value = nn.Linear(values, width)
        self.start = nn.Parameter(torch.randn(width) / math.sqrt(width))
        self.layers = nn.ModuleList(
            EncoderLayer(width, settings.heads, settings.dropout) for _ in range(settings.layers)
        )
        self.identifier_dropout = settings.identifier_dropout
        self.register_buffer("centre", torch.zeros(statistics))
        self.register_buffer("scale", torch.ones(statistics))

    def standardise_on(self, statistics: NDArray[np.float32]) -> None:
        """Take centre and scale of items' statistics from these rows."""
        if len(statistics) == 0:
            return
        scale = statistics.std(axis=0, dtype=np.float64)
        self.centre.copy_(torch.from_numpy(statistics.mean(axis=0, dtype=np.float64)))
        self.scale.copy_(torch.from_numpy(np.where(scale > 1e-6, scale, 1.0)))

    def items(
        self, vectors: torch.Tensor, statistics: torch.Tensor, bucket: torch.Tensor
    ) -> torch.Tensor:
        """What is read of items, shape (i, width)."""
        identifier = self.identifiers(bucket)
        if self.training:
            kept = torch.rand(len(bucket), 1, device=bucket.device) >= self.identifier_dropout
            identifier = identifier * kept
        standard = ((statistics - self.centre) / self.scale).clamp(-CLIP, CLIP)
        return self.item(torch.cat([vectors, standard, identifier], dim=1))

    def forward(self, entries: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """States of the start and after each entry, shape (B, L + 1, width).

        Args:
            entries: what is read of their items, shape (B, L, width).
            values: as in ``EventBatch``.
        """
        start = self.start.expand(len(entries), 1, -1)
        x = torch.cat([start, entries + self.value(values)], dim=1)
        apart = distances(x.shape[1], x.device)
        for layer in self.layers:
            x = layer(x, apart)
        return x


class EncoderLayer(nn.Module):  # type: ignore[misc]
    """Attention over what came before, gated.

    The gate and the one projection are those of HSTU (Zhai et al., Actions speak louder than words:
    trillion-parameter sequential transducers for generative recommendations, 2024); what it
    gates is a softmax attention (Vaswani et al., 2017).
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.parts = nn.Linear(width, 4 * width)
        self.distance = nn.Parameter(torch.zeros(heads, DISTANCES))
        self.after = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, apart: torch.Tensor) -> torch.Tensor:
        """States after the layer, shape (B, L, width); ``apart`` as ``distances`` gives it."""
        gate, told, query, key = functional.silu(self.parts(self.before(x))).chunk(4, dim=2)
        told, query, key = (split(part, self.heads) for part in (told, query, key))
        bias = self.distance[:, apart.clamp(min=0)].masked_fill(apart < 0, -torch.inf)
        score = query @ key.transpose(2, 3) / math.sqrt(query.shape[3]) + bias
        found = self.after(joined(score.softmax(dim=3) @ told))
        return x + self.dropout(self.out(gate * found))


class EventNetwork(nn.Module):  # type: ignore[misc]
    """The encoder, then target attention by each candidate, and a head an objective.

    The candidate is the query over what was encoded (Zhou et al., Deep interest network, 2018). The
    key of an entry is its state's and that of its item, read as a candidate's query is: at first
    the attention is by likeness.
    """

    def __init__(
        self,
        *,
        vector: int,
        statistics: int,
        values: int,
        outputs: int,
        settings: SequenceSettings,
    ) -> None:
        super().__init__()
        width, self.heads = settings.width, settings.heads
        self.encoder = EventEncoder(
            vector=vector, statistics=statistics, values=values, settings=settings
        )
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.told = nn.Linear(width, width, bias=False)
        self.distance = nn.Parameter(torch.zeros(settings.heads, DISTANCES))
        self.body = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(width, outputs)

    def forward(self, batch: EventBatch) -> torch.Tensor:
        """Outputs of every row, shape (B, R, outputs)."""
        items = self.encoder.items(batch.vectors, batch.statistics, batch.bucket)
        entries, asked = items[batch.entries], items[batch.candidates]
        states = self.encoder(entries, batch.values)
        key = self.key(states)
        key = torch.cat([key[:, :1], key[:, 1:] + self.query(entries)], dim=1)
        query, key, told = (
            split(x, self.heads) for x in (self.query(asked), key, self.told(states))
        )
        away = batch.seen[:, :, None] - torch.arange(states.shape[1], device=states.device)
        bias = self.distance[:, distance_bucket(away + 1)].transpose(0, 1)
        bias = bias.masked_fill((away < 0)[:, None], -torch.inf)
        score = query @ key.transpose(2, 3) / math.sqrt(query.shape[3]) + bias
        found = joined(score.softmax(dim=3) @ told)
        last = states.gather(1, batch.seen[:, :, None].expand(-1, -1, states.shape[2]))
        body = self.body(torch.cat([found, found * asked, asked, last], dim=2))
        return self.head(self.dropout(functional.silu(body)))


def distances(length: int, device: torch.device) -> torch.Tensor:
    """Bucket of the distance from each of so many places to each before it, -1 for later ones."""
    place = torch.arange(length, device=device)
    away = place[:, None] - place
    return torch.where(away < 0, -1, distance_bucket(away))


def distance_bucket(away: torch.Tensor) -> torch.Tensor:
    """0 for 0 and less, 1 for 1, 2 for 2 to 3, 3 for 4 to 7 and so on."""
    found = torch.frexp(away.clamp(min=0).float()).exponent
    return found.clamp(max=DISTANCES - 1).long()


def split(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(B, L, width) to (B, heads, L, width / heads)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def joined(x: torch.Tensor) -> torch.Tensor:
    """(B, heads, L, d) to (B, L, heads · d)."""
    return x.transpose(1, 2).flatten(2)


def network_from_parts(state: dict[str, torch.Tensor], settings: SequenceSettings) -> EventNetwork:
    """The network that gave this ``state_dict``; its other sizes are read from the tensors."""
    statistics = len(state["encoder.centre"])
    network = EventNetwork(
        vector=state["encoder.item.weight"].shape[1] - statistics - settings.identifier,
        statistics=statistics,
        values=state["encoder.value.weight"].shape[1],
        outputs=len(state["head.bias"]),
        settings=settings,
    )
    network.load_state_dict(state)
    network.eval()
    return network
