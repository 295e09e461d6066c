"""A learned score as a stochastic policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.policies.contract import Scorer
from mrlm.policies.floor import with_floor


@dataclass(frozen=True)
class LearnedPolicy:
    """softmax(score / temperature), mixed once with uniform exploration.

    Attributes:
        scorer: gives one column.
        temperature: above 0.
        floor: share of uniform exploration, in (0, 1).
        name: for tables and logs.

    Examples:
        >>> import numpy as np
        >>> from mrlm import LEARNERS, BehaviourSettings, LearnedPolicy, LearningSettings
        >>> from mrlm import fit_reward_model, latent_log, learning_sample
        >>> log, _ = latent_log(n_users=100, decisions_per_user=6, n_candidates=4, seed=0)
        >>> small = BehaviourSettings(folds=2, components=4, hidden=8, projection=4, epochs=1)
        >>> settings = LearningSettings(hidden=8, projection=4, epochs=1)
        >>> model = fit_reward_model(log, small, seed=0)
        >>> sample = learning_sample(log, model, {"like": 1.0}, settings, seed=0)
        >>> scorer = LEARNERS["policy_gradient"].learn(sample, settings, seed=0)
        >>> policy = LearnedPolicy(scorer, temperature=1.0, floor=0.1)
        >>> p = np.exp(policy.log_probabilities(log.decisions)).reshape(-1, 4)
        >>> bool(np.allclose(p.sum(axis=1), 1.0)), bool((p >= 0.1 / 4 - 1e-12).all())
        (True, True)
    """

    scorer: Scorer
    temperature: float
    floor: float
    name: str = "learned"

    def __post_init__(self) -> None:
        if len(self.scorer.columns) != 1:
            raise ValueError(f"one score is needed, the scorer gives {self.scorer.columns}")
        if not self.temperature > 0 or not 0 < self.floor < 1:
            raise ValueError(
                f"temperature must be above 0 and floor within (0, 1): {self.temperature}, "
                f"{self.floor}"
            )

    def core_log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """Log softmax of score / temperature, float64, shape (N,)."""
        logits = self.scorer.score(decisions)[:, 0] / self.temperature
        return segment_log_softmax(logits, decisions.offsets)

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        """The same mixed with the floor, float64, shape (N,)."""
        return with_floor(self.core_log_probabilities(decisions), decisions.offsets, self.floor)
