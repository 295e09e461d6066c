"""Off-policy REINFORCE for lists: a slot's item may be shown in any slot that is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms
from mrlm.learners.bandit.logged_feedback import FeedbackBatch, LoggedFeedback
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.settings import LearningSettings


@dataclass(frozen=True)
class TopKReinforce(GradientLearner):
    """Maximises the reward of a list that is filled from one softmax; see ``GradientLearner``.

    Of k draws from pi, an item is among them with chance alpha_k(a) = 1 - (1 - pi(a))^k. A slot
    with k slots left, itself included, has a candidate set without what stands above, and

        gradient_i = min(pi(a_i) / p_i, clip) k (1 - pi(a_i))^(k - 1) r_i grad log pi(a_i)

    which without the clip is the gradient of alpha_k(a_i) / p_i r_i, whose expectation is the
    sum_a alpha_k(a) r(a) of what is left of the list. An item that is sure to be drawn pulls no
    further, so the second best is learned too; with one slot this is the policy gradient by
    importance weights. Source: Chen et al., Top-K off-policy correction for a REINFORCE recommender
    system, 2019, section 4.3. A reward is taken to depend on the item and not on the others shown.
    """

    name: str = "top_k_reinforce"

    def epoch_terms(
        self, network: ScoreNetwork, feedback: LoggedFeedback, settings: LearningSettings
    ) -> Terms:
        """The same in every epoch."""
        return top_k_terms(torch.from_numpy(slots_left(feedback.log)), settings)


def top_k_terms(slots: torch.Tensor, settings: LearningSettings) -> Terms:
    """Terms with the gradient above; their own value means nothing.

    Args:
        slots: slots left at every decision of the log, int64, shape (n,).
        settings: clip of the weights.
    """

    def terms(policy: BatchPolicy, batch: FeedbackBatch) -> torch.Tensor:
        shown, k = policy.shown(batch), slots[batch.rows]
        with torch.no_grad():
            multiplier = k * (1.0 - shown) ** (k - 1)
            pull = policy.weight(batch, settings.weight_clip) * multiplier * batch.reward
        return pull * shown.log()

    return terms


def slots_left(log: BanditLog) -> NDArray[np.int64]:
    """Slots of a decision's list from its own to the last that the log has, int64, shape (n,)."""
    request = np.array([of.rpartition("#")[0] for of in log.decision_id.tolist()])
    _, own = np.unique(request, return_inverse=True)
    position = log.decisions.position.astype(np.int64)
    last = np.zeros(len(log), np.int64)
    np.maximum.at(last, own, position)
    return np.asarray(last[own] - position + 1, np.int64)
