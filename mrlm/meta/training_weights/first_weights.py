"""Objective weights before any meta-update: what the log itself says of the north star."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mrlm.bandit_log.logged_policy import logging_log_probabilities
from mrlm.bandit_log.whole_groups import sample_groups
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.training_weights.scalarise import objective_weights
from mrlm.meta.tune import tune
from mrlm.policies.predictions import by_objective
from mrlm.policies.standardise import Standardiser

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.behaviour.contract import BehaviourModel
    from mrlm.meta.settings import TuningSettings

# Decisions that tell the weights well enough to train with, in seconds.
_ENOUGH = 10_000


def first_weights(
    log: BanditLog, reward_model: BehaviourModel, settings: TuningSettings, seed: int
) -> dict[str, float]:
    """Weights of the objectives whose heads, weighed so, raise the north star over the logger.

    The meta-update on the nights that the heads were fitted on, with predictions by fold models
    that never saw the user, and the logger in the place of the champion. Of a large log some users
    drawn at random are read. Where there is no evidence the weights are equal.

    Args:
        log: n decisions of the fit nights with every propensity; where those of candidates are
            missing the logger counts as uniform.
        reward_model: fitted on these nights.
        settings: caps and levels; fixed weights and floors of diversity are not read.
        seed: of the users drawn and the search's random starts.

    Returns:
        Objective to weight, on the simplex, for learners to train with.
    """
    # The lift needs two users, however many decisions one of them has.
    log = sample_groups(log, log.decisions.user, _ENOUGH, seed, least=2)
    decisions, names = log.decisions, [o.name for o in log.objectives]
    heads = dict(zip(reward_model.heads, reward_model.score_cross_fitted(decisions).T, strict=True))
    q = by_objective(log, log.objectives, heads)
    logger = logging_log_probabilities(log)
    columns = tuple(names)
    problem = TuningProblem(
        offsets=decisions.offsets,
        shown=log.shown,
        propensity=log.propensity,
        cluster=decisions.user,
        features=Standardiser.fit(columns, q).apply(q),
        columns=columns,
        serves=columns,
        log_anchor=logger,
        champion=np.exp(logger),
        rewards=np.where(log.final, log.rewards, np.nan),
        q=q,
        objectives=log.objectives,
        floor=settings.floor,
        weight_clip=settings.weight_clip,
    )
    # How many are shown is a matter of what is served; these weights only train.
    free = settings.model_copy(
        update={"weights": None, "strategy": "pessimistic_bound", "diversity_floors": {}}
    )
    result = tune(problem, free, seed=seed)
    return objective_weights(names, result, {c: c for c in columns})
