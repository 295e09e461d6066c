"""The policy that the meta-update tunes: one softmax over everything that is weighed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions, Objective
from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.bandit_log.segment_labels import SegmentKind, segment_labels
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.features import feature_columns, feature_matrix
from mrlm.policies.floor import with_floor
from mrlm.policies.standardise import Standardiser


@dataclass(frozen=True)
class SceneWeights:
    """Weights that hold in one scene, or segment, in place of the policy's own.

    Attributes:
        scene: label of the segment, see ``segment_labels``.
        kappa: weight of the anchor there, in [0, 1].
        theta: weight of each feature there, float64, shape (columns,).
    """

    scene: str
    kappa: float
    theta: NDArray[np.float64]


@dataclass(frozen=True)
class Tuned:
    """softmax(kappa · log anchor + theta · standardised features), then one floor.

    Attributes:
        anchor: the champion when this policy was tuned; its core is what is anchored on.
        scorers: reward model and learned policies.
        known: item and list objectives that are features themselves.
        standardiser: of the features, fitted on the candidates of the tune nights.
        kappa: weight of the anchor, in [0, 1]; 1 with theta 0 is the anchor.
        theta: weight of each feature, float64, shape (columns,).
        floor: share of uniform exploration.
        name: for tables and logs.
        scenes: scenes with weights of their own; every other scene has kappa and theta.
        segments: what they are: scenes, or how much users had done before.

    Raises:
        ValueError: a theta or the standardiser do not fit the features, or a scene is named twice.
    """

    anchor: Policy
    scorers: tuple[Scorer, ...]
    known: tuple[Objective, ...]
    standardiser: Standardiser
    kappa: float
    theta: NDArray[np.float64]
    floor: float
    name: str = "challenger"
    scenes: tuple[SceneWeights, ...] = ()
    segments: SegmentKind = "scene"

    def __post_init__(self) -> None:
        thetas = [self.theta, *(s.theta for s in self.scenes)]
        fit = all(theta.shape == (len(self.columns),) for theta in thetas)
        if not fit or self.standardiser.columns != self.columns:
            raise ValueError(
                f"theta and standardiser must have one value for each of {self.columns}; got "
                f"{[len(theta) for theta in thetas]} and {self.standardiser.columns}"
            )
        if len({s.scene for s in self.scenes}) < len(self.scenes):
            raise ValueError(f"a scene is named twice: {[s.scene for s in self.scenes]}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features, in the order of ``theta``."""
        return feature_columns(self.scorers, self.known)

    @property
    def depth(self) -> int:
        """How many tuned policies are nested in the anchor, this one included."""
        return 1 + (self.anchor.depth if isinstance(self.anchor, Tuned) else 0)

    def core_log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """Log softmax of the weighed sum, float64, shape (N,)."""
        return segment_log_softmax(self._logits(decisions), decisions.offsets)

    def _logits(self, decisions: Decisions) -> NDArray[np.float64]:
        """The weighed sum, up to what all candidates of a decision share."""
        features = self.standardiser.apply(feature_matrix(decisions, self.scorers, self.known))
        anchor = (
            self.anchor._logits(decisions)
            if isinstance(self.anchor, Tuned)
            else self.anchor.core_log_probabilities(decisions)
        )
        logits = features @ self.theta
        logits += self.kappa * anchor
        if self.scenes:
            label = segment_labels(decisions, self.segments)
            for own in self.scenes:
                there = np.repeat(label == own.scene, np.diff(decisions.offsets))
                logits[there] = features[there] @ own.theta + own.kappa * anchor[there]
        return logits

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """The same mixed with the floor, float64, shape (N,)."""
        return with_floor(self.core_log_probabilities(decisions), decisions.offsets, self.floor)
