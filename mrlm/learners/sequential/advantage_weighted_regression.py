"""Advantage-weighted regression, with a critic of the policy that it leads to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork, make_score_network
from mrlm.learners.sequential.advantage_weights import advantage_weighted, distil_advantage
from mrlm.learners.sequential.estimated_logger import logger_log_probabilities
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.phases import phase
from mrlm.learners.sequential.q_regression import regress_q
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.learners.sequential.target_network import TargetNetwork
from mrlm.learners.sequential.td_targets import expected_target
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone


@dataclass(frozen=True)
class AdvantageWeightedRegression(SequentialLearner):
    """The logger times exp(Q / ``temperature``), where Q is that policy's own.

    Peng et al., Advantage-weighted regression, 2019, with advantages from a critic of the improved
    policy instead of the logger's returns, as in Nair, Gupta, Dalal and Levine, AWAC, 2020. The
    policy is known in closed form on the log, so targets take its exact expectation; a candidate
    that the logger never takes has weight 0.
    """

    name: str = "advantage_weighted_regression"

    def fit(
        self,
        sample: LearningSample,
        seen: Experience,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> ScoreNetwork:
        """See ``SequentialLearner``."""
        temperature = settings.advantage_weighted_regression.temperature
        logger = logger_log_probabilities(sample.log, seen, settings, seed)
        network = make_score_network(seen.features, settings, seed, gain=1.0)
        target = TargetNetwork(network, settings.target_every)
        policy = advantage_weighted(
            target.frozen, torch.from_numpy(logger.astype(np.float32)), temperature, seen
        )

        def goal(index: torch.Tensor) -> torch.Tensor:
            of = (target.frozen, policy, seen, index, settings.discount)
            return expected_target(*of)[:, None]

        regress_q(network, target, goal, seen, settings, seed, phase(progress, 0, 2))
        distil_advantage(network, logger, temperature, seen, settings, seed, phase(progress, 1, 2))
        return network
