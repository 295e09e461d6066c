"""Conservative double Q-learning over sessions of candidate sets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork, make_score_network
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.learners.sequential.target_network import TargetNetwork
from mrlm.learners.sequential.td_targets import double_target
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone, train_by_batches


@dataclass(frozen=True)
class QLearning(SequentialLearner):
    """Q-learning on logged sessions: double, with a target network, conservative.

    The target of decision i is r_i + discount Q'(s', argmax_a Q(s', a)) with the next decision's
    own candidate set, Q' a copy of the network that is renewed every ``target_every`` updates (van
    Hasselt et al., Deep reinforcement learning with double Q-learning, 2016), and r_i alone at the
    end of a session. To the Huber loss is added ``conservative`` times logsumexp_a Q(s, a) -
    Q(s, a_i), which keeps actions that were not logged from being overrated (Kumar et al.,
    Conservative Q-learning, 2020). An objective without a known reward enters by its expectation,
    and rewards are centred. The score is Q over ``value_temperature``.
    """

    name: str = "q_learning"
    centred: bool = True

    def fit(
        self,
        sample: LearningSample,
        seen: Experience,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> ScoreNetwork:
        """See ``SequentialLearner``."""
        network = make_score_network(seen.features, settings, seed, gain=1.0)
        train(network, seen, settings, seed, progress)
        network.rescale(1.0 / settings.value_temperature)
        return network


def train(
    network: ScoreNetwork,
    seen: Experience,
    settings: LearningSettings,
    seed: int,
    progress: EpochDone | None = None,
) -> None:
    """Change ``network`` by ``settings.epochs`` passes over the log."""
    target = TargetNetwork(network, settings.target_every)

    def loss(index: torch.Tensor) -> torch.Tensor:
        goal = double_target(network, target.frozen, seen, index, settings.discount)
        # What looks ahead does so without dropout.
        network.train()
        scores = seen.sets.scores(network, *seen.sets.places(index))
        return conservative_loss(
            scores, seen.action[index], goal, seen.counted[index], settings.conservative
        )

    train_by_batches(
        network,
        len(seen),
        lambda: loss,
        settings,
        seed,
        after_update=target.after_update,
        progress=progress,
    )


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
