"""What of a reward model is asked when several are computed in one pass."""

from __future__ import annotations

from typing import Protocol

from mrlm.behaviour.ensemble.calibration import Calibration
from mrlm.behaviour.ensemble.fold_model import FoldModel
from mrlm.behaviour.features.space import FeatureSpace
from mrlm.behaviour.networks.scene_heads import SceneHeads
from mrlm.behaviour.uncertainty.layer_posterior import LayerPosterior


class Ensemble(Protocol):
    """What of a reward model is asked, see ``RewardModel``."""

    @property
    def heads(self) -> tuple[str, ...]:
        """The feedback objectives."""
        ...

    @property
    def north_star(self) -> str:
        """The head whose uncertainty is told."""
        ...

    @property
    def space(self) -> FeatureSpace:
        """Fitted scales of the features."""
        ...

    @property
    def members(self) -> tuple[FoldModel, ...]:
        """One a fold."""
        ...

    @property
    def calibration(self) -> tuple[Calibration, ...]:
        """One a head."""
        ...

    @property
    def scenes(self) -> SceneHeads | None:
        """What scenes add to the last layer."""
        ...

    @property
    def posterior(self) -> LayerPosterior | None:
        """What the log leaves open; None: the uncertainty is the spread of the members."""
        ...

    @property
    def tells_uncertainty(self) -> bool:
        """Whether the uncertainty is asked for, which is 0 otherwise."""
        ...
