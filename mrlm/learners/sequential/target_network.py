"""The frozen copy of a network that targets are computed with."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

from torch import nn

N = TypeVar("N", bound=nn.Module)


class TargetNetwork(Generic[N]):
    """A copy that is renewed every so many updates and never in between.

    Mnih et al., Human-level control through deep reinforcement learning, 2015.

    Attributes:
        frozen: the copy, in evaluation mode.
    """

    def __init__(self, network: N, every: int) -> None:
        self._network = network
        self._every = every
        self._updates = 0
        self.frozen: N = copy.deepcopy(network).eval()

    def after_update(self) -> None:
        """Count an update, and copy the network where one is due."""
        self._updates += 1
        if self._updates % self._every == 0:
            self.frozen.load_state_dict(self._network.state_dict())
