"""A context vector and a fixed set of actions, as our learners read them.

The bandit log has no column for a context vector, so learners are given what they read directly:
the context as dense features and as the user's vector, the action's indicator as the item's, and as
expected rewards those of ``mrlm.behaviour.item_ridge``, cross-fitted, one regression an action.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Histories, Objective, Ragged
from mrlm.bandit_log.user_folds import split_mix, user_folds
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.item_ridge import SALT, item_ridge
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.choice import Contender, LearnedScore
from mrlm.learners.inputs import LearningInputs, LearningSample, score_columns
from mrlm.learners.registry import LEARNERS
from mrlm.learners.scalarisation import fit_scalarisation
from mrlm.learners.settings import LearningSettings

Floats = NDArray[np.float64]
FOLDS, MANY = 3, 20
_OBJECTIVE = Objective(name="reward", source="feedback", role="north_star", event="reward")
STAR = {_OBJECTIVE.name: 1.0}


@dataclass(frozen=True)
class LoggedRounds:
    """n rounds of a logger over k actions.

    Attributes:
        context: float64, shape (n, d).
        action: int64, shape (n,).
        reward: float64, shape (n,).
        propensity: of all actions, float64, shape (n, k).
    """

    context: Floats
    action: NDArray[np.int64]
    reward: Floats
    propensity: Floats


def as_sample(
    logged: LoggedRounds, new: Floats
) -> tuple[LearningSample, PairFeatures, NDArray[np.int64]]:
    """The logged rounds as a sample, the features of the new ones, and the folds of q."""
    context = np.concatenate([logged.context, new])
    (n, actions), total = logged.propensity.shape, len(context)
    user, offsets = np.arange(total), np.arange(total + 1) * actions
    item = np.tile(np.arange(actions), total)
    # Rounds without a reward are predicted and not learned from.
    reward = np.full((total, 1), np.nan)
    reward[:n, 0] = logged.reward
    action = np.zeros(total, np.int64)
    action[:n] = logged.action
    shown = offsets[:-1] + action
    q = item_ridge(context, user, offsets, item, shown, reward, FOLDS)
    # What is served may know all that was logged: of many folds, one leaves out next to nothing.
    q[n * actions :] = item_ridge(context, user, offsets, item, shown, reward, MANY)[n * actions :]
    log = _log(logged)
    scalarisation = fit_scalarisation(log, STAR)
    row = np.repeat(user, actions)
    pairs = PairFeatures(
        dense=context[row].astype(np.float32),
        item=item,
        row=row,
        item_vectors=np.eye(actions, actions + context.shape[1], dtype=np.float32),
        user_vectors=np.pad(context, ((0, 0), (actions, 0))).astype(np.float32),
    )
    features = pairs.with_columns(score_columns(q, scalarisation))
    mine = np.arange(n * actions)
    outcome = (log.rewards[:, 0] - q[log.shown, 0]) / scalarisation.scale[0]
    value = scalarisation.standardise(q[mine]).sum(axis=1)
    inputs = LearningInputs(features.take(mine), value, outcome)
    fold = user_folds(user[:n], FOLDS, split_mix(SALT))
    # There is no reward model: what it would say is in the inputs.
    sample = LearningSample(log, None, scalarisation, inputs)  # type: ignore[arg-type]
    return sample, features.take(np.arange(n * actions, total * actions)), fold


def learned(name: str, seed: int) -> LearnedScore:
    """A learner at its default settings."""
    return LearnedScore(name, LEARNERS[name], STAR, LearningSettings(), seed)


def new_scores(contender: Contender, sample: LearningSample, new: PairFeatures) -> Floats:
    """Scores of new rounds by the contender fitted on all logged ones."""
    if isinstance(contender, LearnedScore):
        learned = contender.learner.learn(sample, contender.settings, contender.seed)
        return evaluate(learned.network, new, 1)[:, 0]
    return new.dense[:, -1].astype(np.float64)


def _log(logged: LoggedRounds) -> BanditLog:
    n, actions = logged.propensity.shape
    catalog = Catalog.of_names([f"a{k}" for k in range(actions)])
    nothing = Ragged(np.zeros(n + 1, np.int64), np.zeros(0, np.int32))
    day = np.datetime64("2026-11-09", "D")
    decisions = Decisions(
        catalog=catalog,
        user=np.array([f"u{i}" for i in range(n)], object),
        scene=np.full(n, "home", object),
        position=np.ones(n, np.int32),
        ts=np.full(n, day, "datetime64[us]"),
        candidates=Ragged(
            np.arange(n + 1) * actions, np.tile(np.arange(actions, dtype=np.int32), n)
        ),
        histories=Histories.none(),
        since=np.zeros(n, np.int64),
        until=np.zeros(n, np.int64),
        request=np.arange(n),
        above=nothing,
    )
    return BanditLog(
        decisions=decisions,
        decision_id=np.array([f"r{i}#1" for i in range(n)], object),
        night=np.full(n, day),
        session=np.array([f"s{i}" for i in range(n)], object),
        session_step=np.zeros(n, np.int32),
        action=logged.action.astype(np.int64),
        propensity=logged.propensity[np.arange(n), logged.action],
        candidate_propensity=logged.propensity.ravel(),
        policy_id=np.full(n, "logger", object),
        objectives=(_OBJECTIVE,),
        rewards=logged.reward.astype(np.float64)[:, None],
        final=np.ones((n, 1), np.bool_),
        unknown=np.zeros((n, 1), np.bool_),
        lost=np.zeros((n, 1), np.int64),
    )
