"""The policy that takes the candidate with the highest score, but for exploration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.bandit_log.ragged import rows, segment_max, segment_sum
from mrlm.policies.contract import Scorer
from mrlm.policies.floor import with_floor

# Where the core has probability 0. A logarithm of minus infinity would make NaN of a policy that
# anchors on this one at weight 0; what is below the smallest normal number is lost in any sum with
# the probabilities of the best, so those still sum to 1 as they are.
_NEVER = float(np.log(np.finfo(np.float64).tiny))


@dataclass(frozen=True)
class Greedy:
    """All of 1 - floor on the highest score, shared equally among equals, and the rest uniform.

    Attributes:
        scorer: gives one column.
        floor: share of uniform exploration, in [0, 1].
        name: for tables and logs.

    Raises:
        ValueError: the scorer gives another number of columns, or the floor is no share.

    Examples:
        >>> import numpy as np
        >>> from mrlm import Greedy, fit_baselines, latent_log
        >>> log, _ = latent_log(n_users=400, decisions_per_user=10, n_candidates=4, seed=0)
        >>> scorer = fit_baselines(log, "like", floor=0.1)["popularity"].scorer
        >>> p = np.exp(Greedy(scorer, floor=0.2).log_probabilities(log.decisions)).reshape(-1, 4)
        >>> np.sort(p[0]).round(3).tolist()
        [0.05, 0.05, 0.05, 0.85]
    """

    scorer: Scorer
    floor: float
    name: str = "greedy"

    def __post_init__(self) -> None:
        if len(self.scorer.columns) != 1:
            raise ValueError(f"one score is needed, the scorer gives {self.scorer.columns}")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"the floor is a share, from 0 to 1, not {self.floor}")

    def core_log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """Log of 1 / (candidates with the highest score) for each of those, else about -708.

        float64, shape (N,).
        """
        score, offsets = self.scorer.score(decisions)[:, 0], decisions.offsets
        row = rows(offsets)
        best = score == segment_max(score, offsets)[row]
        equal = np.maximum(segment_sum(best.astype(np.float64), offsets), 1.0)
        return np.where(best, -np.log(equal)[row], _NEVER)

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """The same mixed with the floor, float64, shape (N,)."""
        return with_floor(self.core_log_probabilities(decisions), decisions.offsets, self.floor)
