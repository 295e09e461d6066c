"""What an exported policy is fed with: one decision as arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.bandit_log.known_rewards import known_rewards
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import (
    PairFeatures,
    read_history,
    read_pairs,
    slot_features,
)
from mrlm.behaviour.features.space import item_table
from mrlm.behaviour.features.taste import tastes_of
from mrlm.learners.scorer import LearnedScorer
from mrlm.onnx_export.networks import known_name, score_name
from mrlm.onnx_export.policy_graph import behaviour_models
from mrlm.policies.contract import Policy
from mrlm.policies.features import UNCERTAINTY
from mrlm.policies.tuned import Tuned

Floats = NDArray[np.float64]


def decision_inputs(policy: Policy, decision: Decisions) -> dict[str, Floats]:
    """The inputs of the graph that ``write_onnx`` makes of a policy, by name.

    Args:
        policy: as it was exported.
        decision: a single one.

    Raises:
        ValueError: there are several decisions.
    """
    if len(decision) != 1:
        raise ValueError(f"a graph answers one decision at a time, not {len(decision)}")
    found: dict[str, NDArray[np.floating]] = {}
    weighed = _weighed_models(policy)
    for number, model in enumerate(behaviour_models(policy)):
        for name, values in _of_model(model, decision).items():
            found[f"model_{number}.{name}"] = values
        if any(model is other for other in weighed):
            told = model.score(decision)[:, [-1]]
            found[f"model_{number}.{UNCERTAINTY}"] = told
    depth = 0
    while isinstance(policy, Tuned):
        known = list(policy.known)
        for scorer in policy.scorers:
            if isinstance(scorer, LearnedScorer) and isinstance(scorer.reward_model, RewardModel):
                known += scorer.scalarisation.known
            elif not isinstance(scorer, RewardModel):
                values = scorer.score(decision)
                for j, column in enumerate(scorer.columns):
                    found[score_name(column, depth)] = values[:, [j]]
        for objective in known:
            found[known_name(objective.name, depth)] = known_rewards(decision, objective)[:, None]
        policy, depth = policy.anchor, depth + 1
    found["anchor"] = policy.core_log_probabilities(decision)
    return {name: np.ascontiguousarray(v, np.float64) for name, v in found.items()}


def _weighed_models(policy: Policy) -> list[RewardModel]:
    """Behaviour models that are weighed themselves, and not by learned policies' scores alone."""
    found: list[RewardModel] = []
    while isinstance(policy, Tuned):
        found += [s for s in policy.scorers if isinstance(s, RewardModel)]
        policy = policy.anchor
    return found


def _of_model(model: RewardModel, decision: Decisions) -> dict[str, NDArray[np.floating]]:
    """Features of each member's network, by the name of the input."""
    table, pairs = item_table(model.space, decision.catalog, np.float64), distinct_pairs(decision)
    history = read_history(pairs.states, model.space, table)
    read = read_pairs(pairs.states.candidates, history, model.space, table)
    served = slot_features(decision, pairs.state, pairs.pair, read, model.space, table)
    dense = []
    for member in model.members:
        taste = tastes_of(pairs.states, model.space, member.factors, np.float64)
        own = member.columns(pairs.states, taste)
        dense.append(served.with_pair_columns(own).dense)
    features = PairFeatures.of(served)
    return {
        "dense": np.array(dense),
        "item": features.item_vectors[features.item],
        "user": features.user_vectors,
    }
