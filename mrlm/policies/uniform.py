"""The policy that shows every candidate with the same probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions


@dataclass(frozen=True)
class Uniform:
    """Every candidate with probability 1 / K.

    Examples:
        >>> import numpy as np
        >>> from mrlm import Uniform, latent_log
        >>> log, _ = latent_log(n_users=50, decisions_per_user=6, n_candidates=4, seed=0)
        >>> np.exp(Uniform().log_probabilities(log.decisions))[:4].tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    name: str = "uniform"
    floor: float = 0.0

    def core_log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """Log of 1 / K, float64, shape (N,)."""
        lengths = np.diff(decisions.offsets)
        return np.repeat(-np.log(np.maximum(lengths, 1)), lengths)

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """Log of 1 / K, float64, shape (N,)."""
        return self.core_log_probabilities(decisions)
