"""Q-learning that values only actions that were logged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork, make_score_network
from mrlm.learners.sequential.advantage_weights import distil_advantage
from mrlm.learners.sequential.estimated_logger import logger_log_probabilities
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.phases import phase
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.learners.sequential.target_network import TargetNetwork
from mrlm.learners.sequential.td_targets import squared_error
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone, train_by_batches


@dataclass(frozen=True)
class ImplicitQLearning(SequentialLearner):
    """The value of a decision is an upper expectile over what was done there.

    V is the ``expectile`` of Q' over logged actions, Q is fitted to the reward plus the discounted
    V of what follows, and the policy is the logger's times exp(Q / ``temperature``): Kostrikov,
    Nair and Levine, Offline reinforcement learning with implicit Q-learning, 2022, equations 5 to
    7. No action that was not logged enters a target. The expectile is one of the scalar: expectiles
    of the objectives do not add up to that of their sum. A decision has features only through its
    candidates, so V is the mean of a network's outputs over them.
    """

    name: str = "implicit_q_learning"

    def fit(
        self,
        sample: LearningSample,
        seen: Experience,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> ScoreNetwork:
        """See ``SequentialLearner``."""
        network = fit_implicit_q(seen, settings, seed, phase(progress, 0, 2))
        distil_advantage(
            network,
            logger_log_probabilities(sample.log, seen, settings, seed),
            settings.implicit_q_learning.temperature,
            seen,
            settings,
            seed,
            phase(progress, 1, 2),
        )
        return network


def fit_implicit_q(
    seen: Experience,
    settings: LearningSettings,
    seed: int,
    progress: EpochDone | None = None,
) -> ScoreNetwork:
    """A network of Q whose targets are expectiles over logged actions.

    Args:
        seen: the log.
        settings: epochs, sizes and rates.
        seed: of weights, order and dropout.
        progress: see ``EpochDone``.
    """
    q = make_score_network(seen.features, settings, seed, gain=1.0)
    v = make_score_network(seen.features, settings, seed + 1, gain=1.0)
    target, share = TargetNetwork(q, settings.target_every), settings.implicit_q_learning.expectile

    def loss(index: torch.Tensor) -> torch.Tensor:
        shown = seen.shown(index)
        with torch.no_grad():
            logged = seen.sets.scores(target.frozen, *shown)[:, 0]
            goal = seen.reward[index].clone()
            going = torch.nonzero(seen.following[index] >= 0)[:, 0]
            if len(going):
                v.eval()
                goal[going] += settings.discount * set_values(v, seen, seen.following[index[going]])
                v.train()
        return squared_error(
            seen.sets.scores(q, *shown)[:, 0], goal, seen.counted[index]
        ) + expectile_loss(logged - set_values(v, seen, index), share)

    train_by_batches(
        nn.ModuleList([q, v]),
        len(seen),
        lambda: loss,
        settings,
        seed,
        last_step=0.0,
        after_update=target.after_update,
        progress=progress,
    )
    return q


def set_values(network: ScoreNetwork, seen: Experience, index: torch.Tensor) -> torch.Tensor:
    """Mean of a network's outputs over each decision's candidates, shape (b,)."""
    place, mask = seen.sets.places(index)
    return seen.sets.vectors(network, place, mask)[:, :, 0].sum(1) / mask.sum(1)


def expectile_loss(error: torch.Tensor, expectile: float) -> torch.Tensor:
    """Mean of |expectile - 1(error < 0)| error^2, a scalar: least at that expectile.

    Args:
        error: shape (b,), what was drawn less what is predicted.
        expectile: in (0, 1); .5 is the mean.
    """
    weight = torch.where(error < 0, 1.0 - expectile, expectile)
    return (weight * error.square()).mean()
