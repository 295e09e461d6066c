"""What every behaviour model offers to learners, to evaluation and to its report."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.features.served_features import ServedFeatures


@runtime_checkable
class BehaviourModel(Protocol):
    """What a user will do with each candidate, one calibrated head a feedback objective.

    It is an ensemble with one member a fold of users, fitted without them. It reads ``Decisions``,
    which hold no outcome, and is a scorer of ``mrlm.policies.contract`` too. The same decisions
    give the same values to the bit; N candidates in all below.
    """

    @property
    def kind(self) -> str:
        """Which loader reads it back."""
        ...

    @property
    def heads(self) -> tuple[str, ...]:
        """The feedback objectives, in the order of the log."""
        ...

    @property
    def binary(self) -> tuple[bool, ...]:
        """Whether each head predicts a probability."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The heads, then the uncertainty."""
        ...

    @property
    def folds(self) -> int:
        """Folds of users by ``crc()`` of ``mrlm.bandit_log.user_folds``; each has its member."""
        ...

    @property
    def items(self) -> NDArray[np.object_]:
        """Identifiers of the items that it has a reward of, sorted."""
        ...

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        """Expected reward of each head, in its unit, and the uncertainty, (N, heads + 1)."""
        ...

    def interval(
        self, decisions: Decisions, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends between which the north star's true expectation lies, each of shape (N,)."""
        ...

    def score_cross_fitted(self, decisions: Decisions) -> NDArray[np.float64]:
        """Expected reward by the one member that never saw the row's user, (N, heads)."""
        ...

    def encode(self, decisions: Decisions) -> tuple[ServedFeatures, NDArray[np.float64]]:
        """What learners read of every candidate, and ``score``; all at once."""
        ...

    def encode_cross_fitted(self, decisions: Decisions) -> tuple[PairFeatures, NDArray[np.float64]]:
        """The same by the member that never saw the row's user; values (N, heads)."""
        ...

    def save(self, folder: Path) -> None:
        """Write JSON and safetensors into an existing folder."""
        ...
