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
from mrlm.bandit_log.ragged import rows
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
    n, actions = logged.propensity.shape
    sets = Ragged(np.arange(n + 1) * actions, np.tile(np.arange(actions, dtype=np.int32), n))
    log = bare_log(sets, logged.action, logged.propensity.ravel(), logged.reward, actions, 1)
    sample, features = sample_of(log, logged.context, new)
    return sample, features, user_folds(np.arange(n), FOLDS, split_mix(SALT))


def sample_of(
    log: BanditLog, context: Floats, new: Floats, believe: bool = True
) -> tuple[LearningSample, PairFeatures]:
    """A log of ``bare_log`` as a sample, and the features of new rounds over all actions.

    Args:
        log: n decisions.
        context: float64, shape (n, d).
        new: context of the new rounds, float64, shape (rounds, d).
        believe: whether expected rewards are those of the regressions, or the same for all.
    """
    n, many, actions = len(log), len(new), len(log.decisions.catalog)
    logged, of_new = log.decisions.candidates, np.arange(1, many + 1) * actions
    mine = len(logged.values)
    offsets = np.concatenate([logged.offsets, mine + of_new])
    item = np.concatenate([logged.values.astype(np.int64), np.tile(np.arange(actions), many)])
    everywhere = np.concatenate([context, new])
    request = log.decisions.request
    user = np.concatenate([request, request[-1] + 1 + np.arange(many)])
    # Rounds without a reward are predicted and not learned from.
    reward = np.concatenate([log.rewards, np.full((many, 1), np.nan)])
    shown = np.concatenate([log.shown, offsets[n:-1]])
    q = np.full((len(item), 1), log.rewards.mean())
    if believe:
        q = item_ridge(everywhere, user, offsets, item, shown, reward, FOLDS)
        # What is served may know all that was logged: of many folds, one leaves out little.
        q[mine:] = item_ridge(everywhere, user, offsets, item, shown, reward, MANY)[mine:]
    scalarisation = fit_scalarisation(log, STAR)
    pairs = pair_features(everywhere, offsets, item, actions)
    features = pairs.with_columns(score_columns(q, scalarisation))
    outcome = (log.rewards[:, 0] - q[log.shown, 0]) / scalarisation.scale[0]
    value = scalarisation.standardise(q[:mine]).sum(axis=1)
    inputs = LearningInputs(features.take(np.arange(mine)), value, outcome)
    # There is no reward model: what it would say is in the inputs.
    sample = LearningSample(log, None, scalarisation, inputs)  # type: ignore[arg-type]
    return sample, features.take(np.arange(mine, len(item)))


def learned(name: str, seed: int) -> LearnedScore:
    """A learner at its default settings."""
    return LearnedScore(name, LEARNERS[name], STAR, LearningSettings(), seed)


def new_scores(contender: Contender, sample: LearningSample, new: PairFeatures) -> Floats:
    """Scores of new rounds by the contender fitted on all logged ones."""
    if isinstance(contender, LearnedScore):
        learned = contender.learner.learn(sample, contender.settings, contender.seed)
        return evaluate(learned.network, new, 1)[:, 0]
    return new.dense[:, -1].astype(np.float64)


def pair_features(
    context: Floats, offsets: NDArray[np.int64], item: NDArray[np.int64], actions: int
) -> PairFeatures:
    """Of every candidate: the context as dense features and the user's vector, its indicator.

    Args:
        context: float64, shape (n, d).
        offsets: int64, shape (n + 1,), of the candidate sets.
        item: int64, shape (N,), of all candidates.
        actions: items that there are.
    """
    row = rows(offsets)
    return PairFeatures(
        dense=context[row].astype(np.float32),
        item=item,
        row=row,
        item_vectors=np.eye(actions, actions + context.shape[1], dtype=np.float32),
        user_vectors=np.pad(context, ((0, 0), (actions, 0))).astype(np.float32),
    )


def bare_log(
    sets: Ragged,
    action: NDArray[np.int64],
    propensity: Floats,
    reward: Floats,
    actions: int,
    slots: int,
) -> BanditLog:
    """A log of n decisions with nothing but sets, propensities and rewards; a user a request.

    Args:
        sets: candidates of each decision.
        action: int64, shape (n,), place of the shown item in its set.
        propensity: of every candidate, float64, shape (N,).
        reward: float64, shape (n,).
        actions: items that there are.
        slots: of each request, whose decisions lie together from the top down.
    """
    n = len(action)
    request, above = np.divmod(np.arange(n), slots)
    day = np.datetime64("2026-11-09", "D")
    shown = sets.values[sets.offsets[:-1] + action]
    higher = [shown[i - k : i] for i, k in enumerate(above.tolist())]
    decisions = Decisions(
        catalog=Catalog.of_names([f"a{k}" for k in range(actions)]),
        user=np.array([f"u{i}" for i in request], object),
        scene=np.full(n, "home", object),
        position=(above + 1).astype(np.int32),
        ts=np.full(n, day, "datetime64[us]"),
        candidates=sets,
        histories=Histories.none(),
        since=np.zeros(n, np.int64),
        until=np.zeros(n, np.int64),
        request=request,
        above=Ragged(np.concatenate([[0], np.cumsum(above)]), np.concatenate(higher)),
    )
    return BanditLog(
        decisions=decisions,
        decision_id=np.array(
            [f"r{i}#{k + 1}" for i, k in zip(request, above, strict=True)], object
        ),
        night=np.full(n, day),
        session=np.array([f"s{i}" for i in request], object),
        session_step=above.astype(np.int32),
        action=action.astype(np.int64),
        propensity=propensity[sets.offsets[:-1] + action],
        candidate_propensity=propensity,
        policy_id=np.full(n, "logger", object),
        objectives=(_OBJECTIVE,),
        rewards=reward.astype(np.float64)[:, None],
        final=np.ones((n, 1), np.bool_),
        unknown=np.zeros((n, 1), np.bool_),
        lost=np.zeros((n, 1), np.int64),
    )
