"""Conservative double Q-learning over sessions of candidate sets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from mrlm.bandit_log import BanditLog
from mrlm.learners.inputs import LearningInputs, LearningSample
from mrlm.learners.network import CandidateSets, ScoreNetwork, make_score_network
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.sequential.transitions import Transitions, transitions
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import train_by_batches


@dataclass(frozen=True)
class QLearning:
    """Q-learning on logged sessions: double, with a target network, conservative.

    The target of decision i is r_i + discount Q'(s', argmax_a Q(s', a)) with the next decision's
    own candidate set, Q' a copy of the network that is renewed every ``target_every`` updates (van
    Hasselt et al., Deep reinforcement learning with double Q-learning, 2016), and r_i alone at the
    end of a session. To the Huber loss is added ``conservative`` times logsumexp_a Q(s, a) -
    Q(s, a_i), which keeps actions that were not logged from being overrated (Kumar et al.,
    Conservative Q-learning, 2020). An objective without a known reward enters by its expectation.
    The score is Q over ``value_temperature``.
    """

    name: str = "q_learning"

    def looks_ahead(self, settings: LearningSettings) -> bool:
        """Wherever the next reward counts."""
        return settings.discount > 0

    def learn(
        self,
        sample: LearningSample,
        settings: LearningSettings,
        seed: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> LearnedScorer:
        """Learn on the fit nights; see ``Learner``."""
        log, inputs = sample.log, sample.inputs
        network = make_score_network(inputs.features, settings, seed, gain=1.0)
        steps = transitions(log, settings.session_gap_minutes)
        train(network, log, inputs, steps, settings, seed, progress)
        network.rescale(1.0 / settings.value_temperature)
        return LearnedScorer(self.name, network, sample.reward_model, sample.scalarisation)


def train(
    network: ScoreNetwork,
    log: BanditLog,
    inputs: LearningInputs,
    steps: Transitions,
    settings: LearningSettings,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Change ``network`` by ``settings.epochs`` passes over the log."""
    sets = CandidateSets(inputs.features, log.decisions.offsets)
    logged = inputs.value[log.shown] + inputs.residual
    reward = torch.from_numpy(logged.astype(np.float32))
    following = torch.from_numpy(steps.following)
    counted = torch.from_numpy(~steps.truncated)
    action = torch.from_numpy(log.action)
    target = copy.deepcopy(network).eval()
    updates = 0

    def loss(index: torch.Tensor) -> torch.Tensor:
        goal = td_target(network, target, sets, reward[index], following[index], settings.discount)
        # What looks ahead does so without dropout.
        network.train()
        scores = sets.scores(network, *sets.places(index))
        return conservative_loss(scores, action[index], goal, counted[index], settings.conservative)

    def renew_target() -> None:
        nonlocal updates
        updates += 1
        if updates % settings.target_every == 0:
            target.load_state_dict(network.state_dict())

    train_by_batches(
        network,
        len(log),
        lambda: loss,
        settings,
        seed,
        after_update=renew_target,
        progress=progress,
    )


def td_target(
    network: ScoreNetwork,
    target: ScoreNetwork,
    sets: CandidateSets,
    reward: torch.Tensor,
    following: torch.Tensor,
    discount: float,
) -> torch.Tensor:
    """Reward plus the discounted value of the next decision, shape (b,), without a gradient.

    Args:
        network: chooses the next action.
        target: values it.
        sets: candidate sets of the whole log.
        reward: shape (b,).
        following: int64, shape (b,), the next decision, or -1: then the target is the reward.
        discount: in [0, 1).
    """
    goal = reward.clone()
    rows = torch.nonzero(following >= 0)[:, 0]
    if len(rows) == 0 or discount == 0.0:
        return goal
    network.eval()
    with torch.no_grad():
        place, mask = sets.places(following[rows])
        best = sets.scores(network, place, mask).argmax(1, keepdim=True)
        chosen = (place.gather(1, best), mask.gather(1, best))
        goal[rows] += discount * sets.scores(target, *chosen)[:, 0]
    return goal


def conservative_loss(
    scores: torch.Tensor,
    action: torch.Tensor,
    goal: torch.Tensor,
    counted: torch.Tensor,
    conservative: float,
) -> torch.Tensor:
    """Huber loss of the shown items' Q where ``counted``, plus the CQL term, a scalar.

    Args:
        scores: Q of each candidate, shape (b, k), -inf on pads.
        action: int64, shape (b,), column of the shown item.
        goal: shape (b,).
        counted: bool, shape (b,): False where the goal is not known.
        conservative: weight of the CQL term.
    """
    shown = scores.gather(1, action[:, None])[:, 0]
    error = functional.huber_loss(shown, goal, reduction="none") * counted
    gap = torch.logsumexp(scores, dim=1) - shown
    return error.sum() / counted.sum().clamp(min=1) + conservative * gap.mean()
