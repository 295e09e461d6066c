"""What a learner's network reads of every candidate, and the sampled log it is read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.bandit_log.ragged import gather
from mrlm.bandit_log.whole_groups import sample_groups
from mrlm.behaviour.contract import BehaviourModel
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.features.served_features import ServedFeatures
from mrlm.behaviour.networks.threads import side_by_side
from mrlm.learners.scalarisation import Scalarisation, fit_scalarisation, known_outcomes
from mrlm.learners.settings import LearningSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LearningInputs:
    """All that a learner computes once, before its epochs.

    Attributes:
        features: of every candidate; the last dense column is ``value``.
        value: float64, shape (N,), expected scalar reward, by fold models that never saw the user.
        residual: float64, shape (n,), logged scalar reward minus ``value`` of the shown item; an
            objective without a known reward adds 0.
    """

    features: PairFeatures
    value: NDArray[np.float64]
    residual: NDArray[np.float64]


@dataclass(frozen=True)
class LearningSample:
    """What a night's learners learn from.

    Attributes:
        log: decisions of the fit nights, whole sessions of it where there are many.
        reward_model: was fitted on these nights; gives features, and values of users that a fold
            did not see.
        scalarisation: the objectives' weights and scales.
        inputs: what a learner computes from these before its epochs.
    """

    log: BanditLog
    reward_model: BehaviourModel
    scalarisation: Scalarisation
    inputs: LearningInputs


def learning_sample(
    log: BanditLog,
    reward_model: BehaviourModel,
    weights: Mapping[str, float],
    settings: LearningSettings,
    seed: int,
) -> LearningSample:
    """What learners at these weights of the objectives share; other objectives have weight 0.

    Raises:
        ValueError: the log is empty, or weights name no objective or are all 0.

    Examples:
        >>> from mrlm import BehaviourSettings, LearningSettings, fit_reward_model
        >>> from mrlm import latent_log, learning_sample
        >>> log, _ = latent_log(n_users=100, decisions_per_user=6, n_candidates=4, seed=0)
        >>> small = BehaviourSettings(folds=2, components=4, hidden=8, projection=4, epochs=1)
        >>> model = fit_reward_model(log, small, seed=0)
        >>> sample = learning_sample(log, model, {"like": 1.0}, LearningSettings(), seed=0)
        >>> sample.inputs.value.shape
        (2400,)
    """
    scalarisation = fit_scalarisation(log, weights)
    sampled = sample_sessions(log, settings.max_decisions, seed)
    inputs = learning_inputs(sampled, reward_model, scalarisation)
    return LearningSample(sampled, reward_model, scalarisation, inputs)


def expected_rewards(sample: LearningSample) -> NDArray[np.float64]:
    """Expected reward vector of every candidate, cross-fitted, float64, shape (N, objectives).

    Read back from the features, so to the precision of float32.
    """
    scalarisation = sample.scalarisation
    return _standard_rewards(sample) * scalarisation.scale + scalarisation.mean


def reweighted(sample: LearningSample, weights: Mapping[str, float]) -> LearningSample:
    """The same sample at other weights, without encoding it again.

    Raises:
        ValueError: weights name no objective or are all 0.
    """
    scalarisation = sample.scalarisation.at(weights)
    standard = _standard_rewards(sample)
    residual = logged_rewards(sample) - standard[sample.log.shown]
    value = standard @ scalarisation.weight
    features = sample.inputs.features
    dense = features.dense.copy()
    dense[:, -1] = value
    inputs = LearningInputs(replace(features, dense=dense), value, residual @ scalarisation.weight)
    return replace(sample, scalarisation=scalarisation, inputs=inputs)


def logged_rewards(sample: LearningSample) -> NDArray[np.float64]:
    """Standardised rewards of the shown items, float64, shape (n, objectives).

    An objective whose reward is not known has its expectation.
    """
    of = sample.scalarisation
    outcome = (known_outcomes(sample.log) - of.mean) / of.scale
    expected = _standard_rewards(sample)[sample.log.shown]
    return np.where(np.isnan(outcome), expected, outcome)


def part_of(sample: LearningSample, index: NDArray[np.int64]) -> LearningSample:
    """The sample's decisions at ``index``, whole sessions of them, in rising order."""
    flat, _ = gather(sample.log.decisions.offsets, index)
    inputs = LearningInputs(
        features=sample.inputs.features.take(flat),
        value=sample.inputs.value[flat],
        residual=sample.inputs.residual[index],
    )
    return replace(sample, log=sample.log.take(index), inputs=inputs)


def _standard_rewards(sample: LearningSample) -> NDArray[np.float64]:
    """The columns that ``score_columns`` puts before the last, float64, shape (N, objectives)."""
    m = len(sample.scalarisation.objectives)
    return sample.inputs.features.dense[:, -m - 1 : -1].astype(np.float64)


def score_columns(rewards: NDArray[np.float64], scalarisation: Scalarisation) -> Floats:
    """What follows pair features: standardised expected rewards, and last their weighted sum."""
    standard = (rewards - scalarisation.mean) / scalarisation.scale
    value = scalarisation.standardise(rewards).sum(axis=1)
    return np.column_stack([standard, value])


def learning_inputs(
    log: BanditLog, reward_model: BehaviourModel, scalarisation: Scalarisation
) -> LearningInputs:
    """Features, values and residuals of a log, cross-fitted by user."""

    def of_block(part: Decisions) -> tuple[PairFeatures, NDArray[np.float64]]:
        encoded, heads = reward_model.encode_cross_fitted(part)
        vectors = scalarisation.candidate_rewards(
            part, {h: heads[:, j] for j, h in enumerate(reward_model.heads)}
        )
        return encoded.with_columns(score_columns(vectors, scalarisation)), vectors

    blocks = side_by_side(of_block, [part for _, part in log.decisions.blocks()])
    features, rewards = zip(*blocks, strict=True)
    expected = np.concatenate(rewards)
    outcome = known_outcomes(log) - expected[log.shown]
    residual = scalarisation.weight * np.nan_to_num(outcome, nan=0.0) / scalarisation.scale
    return LearningInputs(
        features=_joined(features),
        value=scalarisation.standardise(expected).sum(axis=1),
        residual=residual.sum(axis=1),
    )


def sample_sessions(log: BanditLog, limit: int, seed: int) -> BanditLog:
    """Whole sessions drawn at random, at most about ``limit`` decisions, in the log's order.

    Raises:
        ValueError: the log is empty.
    """
    if len(log) == 0:
        raise ValueError("no decisions to learn from: no fit night has a bandit log")
    return sample_groups(log, log.session, limit, seed)


def _joined(parts: Sequence[PairFeatures]) -> PairFeatures:
    decisions = np.cumsum([0] + [len(p.user_vectors) for p in parts])
    return PairFeatures(
        dense=np.concatenate([p.dense for p in parts]),
        item=np.concatenate([p.item for p in parts]),
        row=np.concatenate([p.row + d for p, d in zip(parts, decisions, strict=False)]),
        item_vectors=parts[0].item_vectors,
        user_vectors=np.concatenate([p.user_vectors for p in parts]),
    )


def deployed_features(
    decisions: Decisions, reward_model: BehaviourModel, scalarisation: Scalarisation
) -> ServedFeatures:
    """The same features for nights that were not learned from, by the whole ensemble."""
    encoded, values = reward_model.encode(decisions)
    vectors = scalarisation.candidate_rewards(
        decisions, {h: values[:, j] for j, h in enumerate(reward_model.heads)}
    )
    return encoded.with_columns(score_columns(vectors, scalarisation))
