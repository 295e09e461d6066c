"""The contracts of the policies' family and of what scores candidates for them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions


@runtime_checkable
class Policy(Protocol):
    """What maps states and candidate sets to probabilities.

    A policy is a pure function of ``Decisions``: no state, no randomness, no outcome. Its core is
    what it prefers; its probabilities mix the core with uniform exploration, once. What anchors on
    a policy anchors on its core, so that the floor is never applied twice.

    Examples:
        >>> from mrlm import Policy, Uniform
        >>> isinstance(Uniform(), Policy)
        True
    """

    @property
    def name(self) -> str:
        """Name for tables and logs."""
        ...

    @property
    def floor(self) -> float:
        """Share of uniform exploration in the probabilities, in [0, 1]."""
        ...

    def core_log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """Log probability of every candidate before exploration, float64, shape (N,)."""
        ...

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """Log probability of every candidate, float64, shape (N,); each row's sum to 1."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """What gives every candidate one or more real features, given the state.

    Reward models and learned policies are scorers; the tuned policy weighs what they give.
    """

    @property
    def kind(self) -> str:
        """Which loader reads it back."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        ...

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        """Features of every candidate, float64, shape (N, len(columns)), all finite."""
        ...

    def save(self, folder: Path) -> None:
        """Write settings as JSON and weights as safetensors into an existing empty folder."""
        ...
