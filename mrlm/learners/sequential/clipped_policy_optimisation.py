"""Policy optimisation in clipped steps that starts from the logger: offline PPO."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork, make_score_network
from mrlm.learners.sequential.distilled_policy import distil
from mrlm.learners.sequential.estimated_logger import logger_log_probabilities
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.phases import phase
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.learners.sequential.target_network import TargetNetwork
from mrlm.learners.sequential.td_targets import expected_target, squared_error
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone, train_by_batches


@dataclass(frozen=True)
class ClippedPolicyOptimisation(SequentialLearner):
    """A softmax policy that goes from the logger uphill, at most by ``clip`` a renewal.

    Of each logged state it maximises, with the advantages A of a critic of the policy itself,

        sum_a old(a) min(ratio A(a), clamp(ratio, 1 - clip, 1 + clip) A(a))
            - divergence KL(policy | logger)

    where ratio is policy(a) / old(a) and old is a copy that is renewed with the critic's target:
    Schulman et al., Proximal policy optimization algorithms, 2017, equation 7, on logged states as
    in Zhuang et al., Behavior proximal policy optimization, 2023; sums over candidates are exact
    instead of sampled. It starts as a clone of the logger. Pure PPO would need data of the policy
    itself.
    """

    name: str = "clipped_policy_optimisation"

    def fit(
        self,
        sample: LearningSample,
        seen: Experience,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> ScoreNetwork:
        """See ``SequentialLearner``."""
        known = logger_log_probabilities(sample.log, seen, settings, seed)
        actor = make_score_network(seen.features, settings, seed, gain=0.0)
        distil(actor, known, seen, settings, seed, phase(progress, 0, 2))
        critic = make_score_network(seen.features, settings, seed + 1, gain=1.0)
        old = TargetNetwork(actor, settings.target_every)
        target = TargetNetwork(critic, settings.target_every)
        logger = torch.from_numpy(known.astype(np.float32))
        taken = torch.isfinite(logger)

        def policy(place: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            scores = seen.sets.scores(old.frozen, place, mask)
            # What the logger never takes has no place in targets, and its growth no reward.
            return torch.softmax(scores.masked_fill(~taken[place], -torch.inf), dim=1)

        def loss(index: torch.Tensor) -> torch.Tensor:
            goal = expected_target(target.frozen, policy, seen, index, settings.discount)
            shown = seen.sets.scores(critic, *seen.shown(index))[:, 0]
            place, mask = seen.sets.places(index)
            with torch.no_grad():
                before = policy(place, mask)
                q = seen.sets.vectors(target.frozen, place, mask)[:, :, 0]
            now = torch.softmax(seen.sets.scores(actor, place, mask), dim=1)
            gain = clipped_gain(
                now, before, q, settings.clipped_policy_optimisation.clip
            ) - settings.divergence * divergence(now, logger[place])
            return squared_error(shown, goal, seen.counted[index]) - gain.mean()

        def after_update() -> None:
            old.after_update()
            target.after_update()

        train_by_batches(
            nn.ModuleList([actor, critic]),
            len(seen),
            lambda: loss,
            settings,
            seed,
            last_step=0.0,
            after_update=after_update,
            progress=phase(progress, 1, 2),
        )
        return actor


def clipped_gain(
    now: torch.Tensor, before: torch.Tensor, q: torch.Tensor, clip: float
) -> torch.Tensor:
    """Clipped advantage of a policy over the one before, in expectation under that one, (b,).

    Args:
        now: probabilities, shape (b, k), 0 on pads.
        before: the same, of the policy that advantages are relative to.
        q: shape (b, k), 0 on pads.
        clip: how far a ratio of the two may leave 1 and still be rewarded.
    """
    advantage = q - (before * q).sum(1, keepdim=True)
    # Where the one before never goes the ratio is of no weight.
    ratio = now / before.clamp(min=torch.finfo(before.dtype).tiny)
    within = ratio.clamp(1.0 - clip, 1.0 + clip)
    return (before * torch.minimum(ratio * advantage, within * advantage)).sum(1)


def divergence(policy: torch.Tensor, logger: torch.Tensor) -> torch.Tensor:
    """KL(policy | logger) of each decision in nats, shape (b,); the policy is 0 on pads.

    What the logger never does costs as if it did it once in a million times: an infinite price has
    no gradient.
    """
    there = policy > 0
    log_policy = torch.where(there, policy, 1.0).log()
    return torch.where(there, policy * (log_policy - logger.clamp(min=-14.0)), 0.0).sum(1)
