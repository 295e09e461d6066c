"""A network with one output an objective, whose weighted sum is a score network."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.networks.network import PairNetwork, Pairs
from mrlm.learners.network import ScoreNetwork, make_pair_network
from mrlm.learners.settings import LearningSettings


class VectorNetwork(nn.Module):  # type: ignore[misc]
    """Output j is gain · (expected reward of objective j) + a pair network's output j.

    The m dense columns before the last are the expected rewards, and the last is their weighted
    sum. The pair network's last layer starts at 0.
    """

    def __init__(self, pair: PairNetwork, outputs: int, gain: float) -> None:
        super().__init__()
        self.pair = pair
        self.outputs = outputs
        self.gain = nn.Parameter(torch.tensor(float(gain)))

    def forward(self, pairs: Pairs) -> torch.Tensor:
        """Outputs of b pairs, shape (b, outputs)."""
        return self.gain * pairs.dense[:, -self.outputs - 1 : -1] + self.pair(pairs)

    def weighted(self, weight: NDArray[np.float64]) -> ScoreNetwork:
        """The network of the outputs' weighted sum, by weights of shape (outputs,): the same sum.

        The weights have to be those of the last dense column.
        """
        pair = copy.deepcopy(self.pair)
        row = torch.from_numpy(weight.astype(np.float32))[None]
        head = nn.Linear(pair.head.in_features, 1)
        with torch.no_grad():
            head.weight.copy_(row @ pair.head.weight)
            head.bias.copy_(row @ pair.head.bias)
        pair.head = head
        return ScoreNetwork(pair, float(self.gain.detach()))


def make_vector_network(
    features: PairFeatures, outputs: int, settings: LearningSettings, seed: int, gain: float
) -> VectorNetwork:
    """A network for these features; its scales are taken from them, its weights from the seed."""
    return VectorNetwork(make_pair_network(features, settings, seed, outputs), outputs, gain)
