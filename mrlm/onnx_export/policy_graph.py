"""A tuned policy as one ONNX graph: the probabilities of a decision's candidates."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.learners.scorer import LearnedScorer
from mrlm.onnx_export.graph import Graph
from mrlm.onnx_export.networks import (
    CANDIDATES,
    expected_rewards,
    known_column,
    learned_score,
    model_inputs,
    score_name,
)
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.features import UNCERTAINTY
from mrlm.policies.standardise import CLIP
from mrlm.policies.tuned import Tuned

PROBABILITY = "probability"


def write_onnx(policy: Policy, path: Path, scene: str) -> tuple[str, ...]:
    """Write the policy's graph for decisions of one scene; returns the names of its inputs.

    The graph holds every network of the policy and of the tuned policies that it anchors on, with
    calibration, weights, softmax and floor, in double precision. What no network gives is an
    input: the features, the uncertainty, the objectives that are known of items and lists, scores
    of simple baselines, and the core log probability of the first policy of all, which is no
    tuned one; ``decision_inputs`` makes them. Its output ``probability`` has shape (N,).

    Args:
        policy: a tuned policy.
        path: of the file.
        scene: whose weights are taken, where scenes have their own.

    Raises:
        ValueError: the policy is of another kind, has weights by users' history, or a
            behaviour model has layers of scenes.
        ModuleNotFoundError: ``onnx`` is not installed.
    """
    if not isinstance(policy, Tuned):
        raise ValueError(f"a {type(policy).__name__} has no networks: export a tuned policy")
    graph = Graph()
    logits = _Policies(graph, scene).logits(policy)
    core = graph.node("Softmax", logits, axis=0)
    count = graph.node("Size", logits)
    share = graph.node("Div", graph.constant(policy.floor), graph.node("Cast", count, to=11))
    kept = graph.node("Mul", core, graph.constant(1.0 - policy.floor))
    graph.write(path, {PROBABILITY: (graph.sum(kept, share), (CANDIDATES,))})
    return tuple(graph.inputs)


def behaviour_models(policy: Policy) -> tuple[RewardModel, ...]:
    """The behaviour models of a tuned policy and its anchors, each once, in the order met."""
    found: list[RewardModel] = []
    while isinstance(policy, Tuned):
        for scorer in policy.scorers:
            model = scorer.reward_model if isinstance(scorer, LearnedScorer) else scorer
            if isinstance(model, RewardModel) and not any(model is other for other in found):
                found.append(model)
        policy = policy.anchor
    return tuple(found)


def scenes_of(policy: Policy) -> frozenset[str]:
    """Scenes that have weights of their own in a tuned policy or in one that it anchors on."""
    found: set[str] = set()
    while isinstance(policy, Tuned):
        found.update(s.scene for s in policy.scenes)
        policy = policy.anchor
    return frozenset(found)


@dataclass(frozen=True)
class _Policies:
    """Tuned policies as nodes of one graph; a behaviour model is computed once."""

    graph: Graph
    scene: str
    _models: dict[int, tuple[int, tuple[str, str, str], str]] = field(default_factory=dict)

    def logits(self, policy: Policy, depth: int = 0) -> str:
        """The weighed sum of a tuned policy, or the core of one that is none, (N,)."""
        if not isinstance(policy, Tuned):
            return self.graph.input("anchor", CANDIDATES)
        if policy.scenes and policy.segments != "scene":
            raise ValueError(
                "a policy with weights by users' history (tuning.segments) is not exported: a "
                "graph holds the weights of one scene"
            )
        graph, scaled = self.graph, policy.standardiser
        columns = [c for scorer in policy.scorers for c in self._columns(scorer, depth)]
        columns += [known_column(graph, o.name, depth) for o in policy.known]
        own = next((s for s in policy.scenes if s.scene == self.scene), policy)
        anchor = graph.node("Mul", self.logits(policy.anchor, depth + 1), graph.constant(own.kappa))
        if not columns:
            return anchor
        x = graph.node("Concat", *columns, axis=1)
        x = graph.node("Sub", x, graph.constant(np.array(scaled.mean)))
        x = graph.node("Div", x, graph.constant(np.array(scaled.scale)))
        x = graph.node("Clip", x, graph.constant(-CLIP), graph.constant(CLIP))
        return graph.sum(graph.node("MatMul", x, graph.constant(own.theta)), anchor)

    def _columns(self, scorer: Scorer, depth: int) -> list[str]:
        """Values of each shape (N, columns), in the order of the scorer's columns."""
        if isinstance(scorer, RewardModel):
            number, _, heads = self._model(scorer)
            told = self.graph.input(f"model_{number}.{UNCERTAINTY}", CANDIDATES, 1)
            return [heads, self.graph.node("Neg", told)]
        if isinstance(scorer, LearnedScorer) and isinstance(scorer.reward_model, RewardModel):
            _, inputs, heads = self._model(scorer.reward_model)
            return [learned_score(self.graph, scorer, inputs, heads, depth)]
        return [self.graph.input(score_name(c, depth), CANDIDATES, 1) for c in scorer.columns]

    def _model(self, model: RewardModel) -> tuple[int, tuple[str, str, str], str]:
        """Its number, its inputs and the value of its heads."""
        if model.scenes is not None:
            raise ValueError(
                "a behaviour model with layers of scenes (behaviour.scene_heads) is "
                "not exported: set it to false and learn the night again"
            )
        if id(model) not in self._models:
            number = len(self._models)
            inputs = model_inputs(self.graph, number, model)
            heads = expected_rewards(self.graph, model, inputs)
            self._models[id(model)] = number, inputs, heads
        return self._models[id(model)]
