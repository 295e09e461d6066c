"""What a night of ours can serve greedily: heads at some weights, and each learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.learners._peers.contract import Floats, Score
from mrlm.bandit_log import Decisions
from mrlm.behaviour.contract import BehaviourModel
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.learners.choice import ExpectedReward, LearnedScore
from mrlm.learners.inputs import LearningSample, reweighted
from mrlm.learners.registry import LEARNERS
from mrlm.learners.settings import LearningSettings


def heads(names: Sequence[str], star: str) -> list[ExpectedReward]:
    """Each feedback head alone, the north star's first, and all of them at equal weights."""
    ordered = [star, *(n for n in names if n != star)]
    alone = [ExpectedReward(f"head {n}", {n: 1.0}) for n in ordered]
    every = ExpectedReward("heads, equal weights", dict.fromkeys(ordered, 1.0))
    return [*alone, every] if len(ordered) > 1 else alone


def learned(
    weights: Mapping[str, float], settings: LearningSettings, seed: int, at: str
) -> list[LearnedScore]:
    """Those that a night trains at these weights; ``at`` says which, in tables."""
    return [
        LearnedScore(f"{name}, {at}", LEARNERS[name], weights, settings, seed)
        for name in settings.learners
    ]


def fitted(contender: ExpectedReward | LearnedScore, sample: LearningSample) -> Score:
    """The contender as a night serves it: fitted on all users, whom it may meet again."""
    if isinstance(contender, LearnedScore):
        whole = reweighted(sample, contender.weights)
        scorer = contender.learner.learn(whole, contender.settings, contender.seed)
        return lambda decisions, features: scorer.score(decisions)[:, 0]
    model, scalarisation = sample.reward_model, sample.scalarisation.at(contender.weights)

    def score(decisions: Decisions, features: PairFeatures) -> Floats:
        values = dict(zip(model.columns, model.encode(decisions)[1].T, strict=True))
        rewards = scalarisation.candidate_rewards(decisions, values)
        return scalarisation.standardise(rewards).sum(axis=1)

    return score


def scores_of(
    model: BehaviourModel, decisions: Decisions, by_name: Mapping[str, Score]
) -> dict[str, Floats]:
    """Score of every candidate by each, float64, shape (N,)."""
    out = {name: np.empty(len(decisions.candidates.values)) for name in by_name}
    # Block by block, so that what the model encodes is encoded once for all.
    for place, part in decisions.blocks():
        features = PairFeatures.of(model.encode(part)[0])
        for name, score in by_name.items():
            out[name][place] = score(part, features)
    return out
