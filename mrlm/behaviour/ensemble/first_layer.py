"""The first layer of networks, taken apart by what its columns say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.behaviour.ensemble.ensemble import Ensemble
from mrlm.behaviour.features.pair_features import KERNELS, dense_columns
from mrlm.behaviour.networks.forward import FirstPart, PairForward

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class FirstLayer:
    """The first layer of all networks by what its columns say.

    Attributes:
        attended: of attention and of ``PairsOfStack.own``, shape (m k, columns, hidden).
        lowest, highest: of attention, shape (m, k, 1, columns).
        own_lowest, own_highest: of what members have of their own.
        moments, places, attributes, statistics, novelty: the other parts.
    """

    attended: Floats
    lowest: Floats
    highest: Floats
    own_lowest: Floats
    own_highest: Floats
    moments: FirstPart
    places: FirstPart
    attributes: FirstPart
    statistics: FirstPart
    novelty: FirstPart

    @classmethod
    def of(cls, networks: PairForward, model: Ensemble) -> FirstLayer:
        """Of the networks of models like this one."""
        space, k = model.space, len(model.members)
        rewards, heads = len(space.history), len(model.heads)
        attention = KERNELS * (2 * rewards + space.counts_ignored)
        moments, decision = 3 * rewards, 3 * rewards + 1 + len(space.scenes)
        pair, of_decision, novelty = dense_columns(attention, decision, len(space.attributes))
        own = np.arange(int(novelty[-1]) + 1, networks.dense.shape[1])
        attended, members = networks.part(pair[:attention]), networks.part(own[heads + 1 :])

        def ends(part: FirstPart) -> tuple[Floats, Floats]:
            shape = (len(networks.head) // k, k, *part.lowest.shape[1:])
            return part.lowest.reshape(shape), part.highest.reshape(shape)

        return cls(
            np.concatenate([attended.weight, members.weight], axis=1),
            *ends(attended),
            *ends(members),
            moments=networks.part(of_decision[:moments]),
            places=networks.part(of_decision[moments:]),
            attributes=networks.part(pair[attention:]),
            statistics=networks.part(own[: heads + 1]),
            novelty=networks.part(novelty),
        )
