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
        shares = _shares(self.scorer.score(decisions)[:, 0], decisions.offsets)
        tiny = np.finfo(np.float64).tiny
        return np.where(shares > 0, np.log(np.maximum(shares, tiny)), _NEVER)

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """The same mixed with the floor, float64, shape (N,)."""
        return with_floor(self.core_log_probabilities(decisions), decisions.offsets, self.floor)


def greedy_with_floor(
    scores: NDArray[np.float64], offsets: NDArray[np.int64], floor: float
) -> NDArray[np.float64]:
    """Probabilities of ``Greedy`` from scores that are there already, float64, shape (N,).

    Args:
        scores: float64, shape (N,), not NaN.
        offsets: int64, shape (n + 1,), of the candidate sets; none is empty.
        floor: share of uniform exploration, in [0, 1].

    Raises:
        ValueError: a score is NaN.

    Examples:
        >>> import numpy as np
        >>> from mrlm.policies.greedy import greedy_with_floor
        >>> greedy_with_floor(np.array([0.2, 0.9, 0.5, 0.5]), np.array([0, 2, 4]), 0.1).round(3)
        array([0.05, 0.95, 0.5 , 0.5 ])
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} of {len(scores)} scores are NaN")
    uniform = (1.0 / np.diff(offsets))[rows(offsets)]
    return np.asarray((1.0 - floor) * _shares(scores, offsets) + floor * uniform, np.float64)


def _shares(scores: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 over the number of candidates that tie for the highest score, for each of these, else 0."""
    row = rows(offsets)
    best = scores == segment_max(scores, offsets)[row]
    return np.asarray(best / segment_sum(best.astype(np.float64), offsets)[row], np.float64)
