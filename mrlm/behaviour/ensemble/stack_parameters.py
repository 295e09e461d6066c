"""What several ensembles of one shape have learned, as one array of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlm.behaviour.ensemble.calibration import HeadCalibrations
from mrlm.behaviour.ensemble.ensemble import Ensemble
from mrlm.behaviour.ensemble.first_layer import FirstLayer
from mrlm.behaviour.ensemble.stack_uncertainty import StackUncertainty
from mrlm.behaviour.features.item_factors import ItemFactors
from mrlm.behaviour.networks.forward import PairForward
from mrlm.behaviour.sequence.event_reader import EventReader

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class StackParameters:
    """Of m ensembles of k members each, for which ``stack_key`` is the same.

    Attributes:
        models: the ensembles.
        precision: of the networks; what they read is float64.
    """

    models: tuple[Ensemble, ...]
    precision: type[np.floating]

    @property
    def members(self) -> int:
        """How many each model has."""
        return len(self.models[0].members)

    def by_member(self, values: Floats) -> Floats:
        """What each model reads, for each of its members, (m, ...) to (m k, ...)."""
        return np.repeat(values, self.members, axis=0)

    @cached_property
    def networks(self) -> PairForward:
        """Those of all members of all models."""
        return PairForward.of([f.network for m in self.models for f in m.members], self.precision)

    @cached_property
    def events(self) -> EventReader | None:
        """Reads entries for all members of all models; None where the models do not."""
        own = tuple(f.sequence for m in self.models for f in m.members if f.sequence)
        return EventReader(own, self.precision) if own else None

    @cached_property
    def first_layer(self) -> FirstLayer:
        """That of these networks."""
        return FirstLayer.of(self.networks, self.models[0])

    @cached_property
    def uncertainty(self) -> StackUncertainty:
        """That of all models."""
        return StackUncertainty.of(self.models, self.precision)

    @cached_property
    def calibrations(self) -> HeadCalibrations:
        """Those of all heads of all models."""
        return HeadCalibrations.of([m.calibration for m in self.models])


def stack_key(model: Ensemble) -> tuple[object, ...]:
    """What ensembles agree in that are computed in one pass."""
    space, members = model.space, model.members
    return (
        model.heads,
        model.north_star,
        len(members),
        tuple(tuple(t.shape) for t in members[0].network.state_dict().values()),
        tuple(f.loading.shape[1] for f in members[0].factors),
        members[0].language is None,
        members[0].sequence and members[0].sequence.settings,
        tuple(c.binary for c in model.calibration),
        space.components.shape[1],
        len(space.categories),
        len(space.attributes),
        len(space.scenes),
        len(space.history),
        space.counts_ignored,
    )


def factors_of(model: Ensemble) -> tuple[ItemFactors, ...]:
    """Of all members."""
    return tuple(f for m in model.members for f in m.factors)
