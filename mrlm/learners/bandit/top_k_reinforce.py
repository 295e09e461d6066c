"""Off-policy REINFORCE for lists: a slot's item may be shown in any slot that is left."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.sessions.later_requests import request_codes
from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms


class TopKReinforce(GradientLearner):
    """Maximises the reward of a list that is filled from one softmax; see ``GradientLearner``.

    Of k draws from pi, an item is among them with chance alpha_k(a) = 1 - (1 - pi(a))^k. A slot
    with k slots left, itself included, has a candidate set without what stands above, and

        gradient_i = min(pi(a_i) / p_i, clip) k (1 - pi(a_i))^(k - 1) r_i grad log pi(a_i)

    which without the clip is the gradient of alpha_k(a_i) / p_i r_i, whose expectation is the
    sum_a alpha_k(a) r(a) of what is left of the list. An item that is sure to be drawn pulls no
    further, so the second best is learned too; with one slot this is the policy gradient by
    importance weights. Source: Chen et al., Top-K off-policy correction for a REINFORCE recommender
    system, 2019, section 4.3. A reward is that of the slot, and taken to depend on its item and not
    on the others shown.

    Lists are served without repeats, which show every item at least as often as k draws do. So
    where rewards are above 0 the sum is a lower bound of the list's reward, and exact for one slot.

    k is the list's length in the log, or ``slots`` of the settings: lists of several slots may be
    served where the log shows one item a request. Propensities are those of the log contract, given
    the items above; the paper's are of one softmax that fills the whole list.
    """

    name = "top_k_reinforce"

    def epoch_terms(self, epoch: Epoch) -> Terms:
        """The same in every epoch."""
        length = epoch.settings.top_k_reinforce.slots
        slots = torch.from_numpy(slots_left(epoch.feedback.log, length))
        return top_k_terms(slots, epoch.settings.weight_clip)


def top_k_terms(slots: torch.Tensor, clip: float) -> Terms:
    """Terms with the gradient above; their own value means nothing.

    Args:
        slots: slots left at every decision of the log, int64, shape (n,).
        clip: largest weight.
    """

    def terms(policy: BatchPolicy) -> torch.Tensor:
        shown, k = policy.shown(), slots[policy.logged.rows]
        with torch.no_grad():
            multiplier = k * (1.0 - shown) ** (k - 1)
            pull = policy.weight().clamp(max=clip) * multiplier * policy.logged.reward
        return pull * shown.log()

    return terms


def slots_left(log: BanditLog, length: int) -> NDArray[np.int64]:
    """Slots of each decision's list from its own to the last, at least 1, int64, shape (n,).

    Args:
        log: of n decisions.
        length: slots of every list; 0: the lowest that the log has of the request is the last.
    """
    position = log.decisions.position.astype(np.int64)
    if length:
        return np.asarray(np.maximum(length - position + 1, 1), np.int64)
    own = request_codes(log.decision_id)
    last = np.zeros(len(log), np.int64)
    np.maximum.at(last, own, position)
    return np.asarray(last[own] - position + 1, np.int64)
