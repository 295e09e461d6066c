"""What decisions brought by themselves, beside returns that count what follows them too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class OwnRewards:
    """Rewards of n decisions and m objectives before anything later is added.

    Attributes:
        rewards: float64, shape (n, m); NaN where unknown.
        final: bool, shape (n, m); see ``BanditLog``.
        unknown: bool, shape (n, m); see ``BanditLog``.
    """

    rewards: NDArray[np.float64]
    final: NDArray[np.bool_]
    unknown: NDArray[np.bool_]

    @property
    def known(self) -> NDArray[np.float64]:
        """The final rewards, NaN elsewhere, float64, shape (n, m)."""
        return np.where(self.final, self.rewards, np.nan)

    def take(self, index: NDArray[np.int64]) -> OwnRewards:
        """Those of the decisions at ``index``, in that order."""
        return OwnRewards(self.rewards[index], self.final[index], self.unknown[index])

    def columns(self, only: slice) -> OwnRewards:
        """Those of some objectives."""
        return OwnRewards(self.rewards[:, only], self.final[:, only], self.unknown[:, only])

    @classmethod
    def concat(cls, parts: Sequence[OwnRewards]) -> OwnRewards:
        """Those of all decisions of ``parts``; at least one part."""
        return cls(
            np.concatenate([p.rewards for p in parts]),
            np.concatenate([p.final for p in parts]),
            np.concatenate([p.unknown for p in parts]),
        )
