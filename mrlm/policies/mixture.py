"""Several policies at fixed shares: the traffic that several loggers make together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.policies.contract import Policy
from mrlm.policies.floor import with_floor


@dataclass(frozen=True)
class Mixture:
    """sum_k share[k] · policy k: what a user sees who is given to policy k by lot.

    Attributes:
        policies: K policies, at least one.
        shares: K positive shares with sum 1.
        name: for tables and logs.

    Raises:
        ValueError: policies and shares differ in number, or shares are not positive with sum 1.
    """

    policies: tuple[Policy, ...]
    shares: tuple[float, ...]
    name: str = "logger"

    def __post_init__(self) -> None:
        fits = len(self.policies) == len(self.shares) > 0 and min(self.shares) > 0
        if not fits or not np.isclose(sum(self.shares), 1.0):
            raise ValueError(
                f"a mixture of {len(self.policies)} policies needs as many positive shares with "
                f"sum 1; got {list(self.shares)}"
            )

    @property
    def floor(self) -> float:
        """The policies' floors at their shares."""
        return float(sum(s * p.floor for s, p in zip(self.shares, self.policies, strict=True)))

    def core_log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """Log of the mixture of the cores, each at what its floor leaves it, shape (N,)."""
        parts = [
            np.log(s * (1.0 - p.floor)) + p.core_log_probabilities(decisions)
            for s, p in zip(self.shares, self.policies, strict=True)
            if p.floor < 1.0
        ]
        if not parts:
            return self.policies[0].core_log_probabilities(decisions)
        core: NDArray[np.float64] = np.logaddexp.reduce(parts, axis=0) - np.log1p(-self.floor)
        return core

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """The same mixed with the floor, float64, shape (N,)."""
        return with_floor(self.core_log_probabilities(decisions), decisions.offsets, self.floor)
