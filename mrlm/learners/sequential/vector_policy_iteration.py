"""Vector-valued evaluation of a policy, and improvement by the weighted sum of its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.sequential.estimated_logger import logger_log_probabilities
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.phases import phase
from mrlm.learners.sequential.q_regression import regress_q
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.learners.sequential.session_rewards import session_rewards
from mrlm.learners.sequential.target_network import TargetNetwork
from mrlm.learners.sequential.vector_network import VectorNetwork, make_vector_network
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone


@dataclass(frozen=True)
class VectorPolicyIteration(SequentialLearner):
    """Evaluates the policy that made the log, one head an objective, and improves it; some rounds.

    The value of a fixed policy is linear in the rewards, so the weighted sum of the heads is that
    of the weighted sum; of optimal values it is not, which is why no head is maximised by itself.
    Each round evaluates the policy (see ``evaluate_policy``) and takes the softmax of the weighted
    sum over ``value_temperature`` next. One discount serves all heads.
    """

    name: str = "vector_policy_iteration"

    def fit(
        self,
        sample: LearningSample,
        seen: Experience,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> ScoreNetwork:
        """See ``SequentialLearner``."""
        of, rounds = sample.scalarisation, settings.vector_policy_iteration.rounds
        rewards = session_rewards(sample)
        network = make_vector_network(seen.features, len(of.weight), settings, seed, gain=1.0)
        log_policy = logger_log_probabilities(sample.log, seen, settings, seed)
        for number in range(rounds):
            evaluate_policy(
                network,
                np.exp(log_policy),
                rewards,
                seen,
                settings,
                seed + number,
                phase(progress, number, rounds),
            )
            score = network.weighted(of.weight)
            score.rescale(1.0 / settings.value_temperature)
            log_policy = segment_log_softmax(evaluate(score, seen.features, 1)[:, 0], seen.offsets)
        return score


def evaluate_policy(
    network: VectorNetwork,
    policy: NDArray[np.float64],
    rewards: NDArray[np.float64],
    seen: Experience,
    settings: LearningSettings,
    seed: int,
    progress: EpochDone | None = None,
) -> None:
    """Train a network to the discounted sums of all objectives under a policy.

    The target is r + discount sum_a policy(a) Q'(s', a), a vector: fitted Q evaluation, Le,
    Voloshin and Yue, Batch policy learning under constraints, 2019, with a target network.

    Args:
        network: of m outputs; is changed.
        policy: probability of every candidate, float64, shape (N,).
        rewards: of the shown items, float64, shape (n, m).
        seen: the log; its scalar rewards are not used.
        settings: epochs, sizes, rates, discount.
        seed: of the order of rows and of dropout.
        progress: see ``EpochDone``.
    """
    target = TargetNetwork(network, settings.target_every)
    share = torch.from_numpy(policy.astype(np.float32))
    reward = torch.from_numpy(rewards.astype(np.float32))

    def goal(index: torch.Tensor) -> torch.Tensor:
        out = reward[index].clone()
        going = torch.nonzero(seen.following[index] >= 0)[:, 0]
        if len(going):
            with torch.no_grad():
                place, mask = seen.sets.places(seen.following[index[going]])
                q = seen.sets.vectors(target.frozen, place, mask)
                weight = torch.where(mask, share[place], 0.0)
                out[going] += settings.discount * (weight[:, :, None] * q).sum(1)
        return out

    regress_q(network, target, goal, seen, settings, seed, progress)
