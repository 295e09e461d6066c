"""A fitted network over entries, with what it reads items and rewards by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.behaviour.features.space import FeatureSpace
from mrlm.behaviour.features.statistics import ItemStatistics
from mrlm.behaviour.sequence.event_network import EventNetwork, network_from_parts
from mrlm.behaviour.sequence_settings import SequenceSettings


@dataclass(frozen=True, eq=False)
class SequenceModel:
    """One network; space and statistics are those of the ensemble and its member.

    Attributes:
        network: fitted.
        settings: with which it was fitted.
        space: scales of the rewards, and vectors of the items.
        statistics: what happened with each item.
    """

    network: EventNetwork
    settings: SequenceSettings
    space: FeatureSpace
    statistics: ItemStatistics

    def describe(self) -> dict[str, Any]:
        """Everything but the arrays, for JSON."""
        return self.settings.model_dump(mode="json")

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """What was trained, for safetensors."""
        state = self.network.state_dict()
        return {f"{prefix}{name}": tensor.detach().numpy() for name, tensor in state.items()}

    @classmethod
    def from_parts(
        cls,
        data: dict[str, Any],
        arrays: dict[str, NDArray[Any]],
        prefix: str,
        space: FeatureSpace,
        statistics: ItemStatistics,
    ) -> SequenceModel:
        """The model that ``describe`` and ``arrays`` were taken from."""
        state = {
            name.removeprefix(prefix): torch.from_numpy(a)
            for name, a in arrays.items()
            if name.startswith(prefix)
        }
        settings = SequenceSettings(**data)
        return cls(network_from_parts(state, settings), settings, space, statistics)
