"""Q-learning among the candidates that the logger takes often enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows, segment_log_softmax, segment_max
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.sequential.distilled_policy import distil
from mrlm.learners.sequential.double_q_learning import fit_double_q
from mrlm.learners.sequential.estimated_logger import logger_log_probabilities
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.phases import phase
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone


@dataclass(frozen=True)
class BatchConstrainedQLearning(SequentialLearner):
    """Double Q-learning that never looks at candidates the log says nothing of.

    A candidate may be chosen, in targets and by the policy, where the logger's probability is
    above ``threshold`` times that of the logger's favourite in the set: Fujimoto, Conti,
    Ghavamzadeh and Pineau, Benchmarking batch deep reinforcement learning algorithms, 2019. The
    score is the softmax of Q over ``value_temperature`` among them, distilled.
    """

    name: str = "batch_constrained_q_learning"

    def fit(
        self,
        sample: LearningSample,
        seen: Experience,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> ScoreNetwork:
        """See ``SequentialLearner``."""
        logger = logger_log_probabilities(sample.log, seen, settings, seed)
        own = settings.batch_constrained_q_learning
        allowed = supported(logger, seen.offsets, own.threshold)
        network = fit_double_q(
            seen,
            settings,
            seed,
            allowed=torch.from_numpy(allowed),
            progress=phase(progress, 0, 2),
        )
        network.rescale(1.0 / settings.value_temperature)
        score = np.where(allowed, evaluate(network, seen.features, 1)[:, 0], -np.inf)
        log_policy = segment_log_softmax(score, seen.offsets)
        distil(network, log_policy, seen, settings, seed, phase(progress, 1, 2))
        return network


def supported(
    logger: NDArray[np.float64], offsets: NDArray[np.int64], threshold: float
) -> NDArray[np.bool_]:
    """Where the logger's probability is above a share of its largest in the set, bool, (N,).

    Args:
        logger: log probabilities, shape (N,).
        offsets: of the candidate sets.
        threshold: in [0, 1); the favourite itself always is.
    """
    favourite = segment_max(logger, offsets)[rows(offsets)]
    often = np.exp(logger - favourite) > threshold
    return np.asarray(often | (logger == favourite), np.bool_)
