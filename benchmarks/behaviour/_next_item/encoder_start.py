"""What the network of ``encoder`` starts from: neighbours of the newest items.

Of 943 users no transformer learns from nothing which items are met together, and counting tells it
at once: items' vectors are those of ``neighbours``, and the first layer adds the mean of what came
before, so that the first state already points at what is met near the newest items.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from benchmarks.behaviour._next_item.ml_100k import Sequences
from benchmarks.behaviour._next_item.neighbours import WINDOW, likeness, vectors
from mrlm.behaviour.sequence.event_network import DISTANCES, EncoderLayer, EventEncoder

# silu of it is 1.
_OPEN = 1.2785
# Of the mean of what came before, beside the newest item of length 1.
_SHARE = 0.2


def start_from(encoder: EventEncoder, level: nn.Parameter, train: Sequences, seed: int) -> None:
    """Write the start over the weights of an encoder that knows items by identifier alone.

    Args:
        encoder: its identifiers are as wide as its states.
        level: of each item, becomes the logarithm of how often it was met, shape (items,).
        train: the sequences that may be learned from.
        seed: of the vectors' search.
    """
    found = vectors(likeness(train, WINDOW), encoder.identifiers.embedding_dim, seed)
    met = np.log1p(np.bincount(train.item, minlength=train.items))
    with torch.no_grad():
        encoder.identifiers.weight.copy_(torch.from_numpy(found))
        level.copy_(torch.from_numpy(met - met.mean()))
    nn.init.eye_(encoder.item.weight)
    nn.init.zeros_(encoder.start)
    for part in (encoder.value, *(layer.out for layer in encoder.layers)):
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    _average(encoder.layers[0])


def _average(layer: EncoderLayer) -> None:
    """Let a layer add the mean of what came before, half as heavy at twice the distance."""
    width = layer.out.in_features
    gate, told = slice(0, width), slice(width, 2 * width)
    with torch.no_grad():
        layer.parts.weight[gate] = 0.0
        layer.parts.bias[gate] = _OPEN
        layer.parts.weight[told] = torch.eye(width)
        layer.parts.bias[told] = 0.0
        layer.out.weight.copy_(_SHARE * torch.eye(width))
        layer.distance.copy_((-math.log(2) * torch.arange(DISTANCES)).expand_as(layer.distance))
