"""Double Q-learning with returns of several steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork, make_score_network
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.q_regression import regress_q
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.learners.sequential.target_network import TargetNetwork
from mrlm.learners.sequential.td_targets import double_target
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone


@dataclass(frozen=True)
class DoubleQLearning(SequentialLearner):
    """Q-learning with the target of ``double_target``: nothing keeps it near the logger.

    The score is Q over ``value_temperature``.
    """

    name: str = "double_q_learning"

    def fit(
        self,
        sample: LearningSample,
        seen: Experience,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> ScoreNetwork:
        """See ``SequentialLearner``."""
        steps = settings.double_q_learning.steps
        network = fit_double_q(seen, settings, seed, steps=steps, progress=progress)
        network.rescale(1.0 / settings.value_temperature)
        return network


def fit_double_q(
    seen: Experience,
    settings: LearningSettings,
    seed: int,
    *,
    steps: int = 1,
    allowed: torch.Tensor | None = None,
    progress: EpochDone | None = None,
) -> ScoreNetwork:
    """A network of Q, by least squares on ``double_target``.

    Args:
        seen: the log.
        settings: epochs, sizes and rates.
        seed: of weights, order and dropout.
        steps: see ``double_target``.
        allowed: see ``double_target``.
        progress: see ``EpochDone``.
    """
    network = make_score_network(seen.features, settings, seed, gain=1.0)
    target = TargetNetwork(network, settings.target_every)

    def goal(index: torch.Tensor) -> torch.Tensor:
        of = (network, target.frozen, seen, index, settings.discount, steps, allowed)
        return double_target(*of)[:, None]

    regress_q(network, target, goal, seen, settings, seed, progress)
    return network
