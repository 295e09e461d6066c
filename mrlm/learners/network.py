"""The network that learners train, and candidate sets padded for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.networks.network import (
    PairNetwork,
    Pairs,
    PairTensors,
    network_for,
    network_from_state,
)
from mrlm.learners.settings import LearningSettings


class ScoreNetwork(nn.Module):  # type: ignore[misc]
    """gain · (last dense column) + a pair network.

    The last dense column is the expected scalar reward, so the network learns what is to be added
    to it. The pair network's last layer starts at 0: learning starts from the value alone.
    """

    def __init__(self, pair: PairNetwork, gain: float) -> None:
        super().__init__()
        self.pair = pair
        self.gain = nn.Parameter(torch.tensor(float(gain)))

    def forward(self, pairs: Pairs) -> torch.Tensor:
        """Scores of b pairs, shape (b, 1)."""
        return self.gain * pairs.dense[:, -1:] + self.pair(pairs)

    def rescale(self, factor: float) -> None:
        """Multiply every score by ``factor`` from now on."""
        with torch.no_grad():
            for parameter in (self.gain, self.pair.head.weight, self.pair.head.bias):
                parameter.mul_(factor)


def make_score_network(
    features: PairFeatures, settings: LearningSettings, seed: int, gain: float
) -> ScoreNetwork:
    """A network for these features, its scales taken from them, its weights from the seed."""
    return ScoreNetwork(make_pair_network(features, settings, seed, outputs=1), gain)


def make_pair_network(
    features: PairFeatures, settings: LearningSettings, seed: int, outputs: int
) -> PairNetwork:
    """The same without the gain, of any number of outputs; all are 0 at first."""
    pair = network_for(features, settings, outputs, seed)
    pair.standardise_on(features.dense)
    nn.init.zeros_(pair.head.weight)
    nn.init.zeros_(pair.head.bias)
    return pair


def score_network_from_state(state: Mapping[str, torch.Tensor]) -> ScoreNetwork:
    """The network that gave this ``state_dict``."""
    pair = {n.removeprefix("pair."): t for n, t in state.items() if n.startswith("pair.")}
    network = ScoreNetwork(network_from_state(pair), 0.0)
    network.load_state_dict(dict(state))
    network.eval()
    return network


class CandidateSets:
    """Candidate sets of some decisions at a time, padded to the longest of them."""

    def __init__(self, features: PairFeatures, offsets: NDArray[np.int64]) -> None:
        self._tensors = PairTensors(features)
        self._start = torch.from_numpy(offsets[:-1].copy())
        self._length = torch.from_numpy(np.diff(offsets))

    def places(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Flat positions of the candidates and their mask, each (b, longest); pads point at 0."""
        length = self._length[index]
        step = torch.arange(int(length.max()))
        mask = step < length[:, None]
        return torch.where(mask, self._start[index][:, None] + step, 0), mask

    def scores(self, network: nn.Module, place: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scores of the candidates, shape (b, longest), -inf on pads."""
        flat = network(self._tensors.batch(place[mask]))[:, 0]
        out = torch.full(mask.shape, -torch.inf)
        return out.masked_scatter(mask, flat)

    def vectors(self, network: nn.Module, place: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """All outputs for the candidates, shape (b, longest, outputs), 0 on pads."""
        flat = network(self._tensors.batch(place[mask]))
        out = torch.zeros((*mask.shape, flat.shape[1]))
        return out.masked_scatter(mask[:, :, None], flat)
