"""The networks of behaviour models and learned scores as nodes of an ONNX graph."""

from __future__ import annotations

import numpy as np

from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.networks.forward import PairForward
from mrlm.learners.scorer import LearnedScorer
from mrlm.onnx_export.graph import Graph

# The length of the candidate set.
CANDIDATES = "candidates"


def model_inputs(graph: Graph, number: int, model: RewardModel) -> tuple[str, str, str]:
    """Dense features by member, item vectors and the user's vector of one behaviour model."""
    networks = model.networks
    members, width = networks.dense.shape[:2]
    return (
        graph.input(f"model_{number}.dense", members, CANDIDATES, width),
        graph.input(f"model_{number}.item", CANDIDATES, networks.item.shape[1]),
        graph.input(f"model_{number}.user", 1, networks.user.shape[1]),
    )


def pair_outputs(graph: Graph, networks: PairForward, dense: str, item: str, user: str) -> str:
    """Outputs of k networks, (k, N, outputs): the arithmetic of ``PairForward``."""
    c = graph.constant
    clipped = graph.node("Max", dense, c(networks.lowest))
    clipped = graph.node("Min", clipped, c(networks.highest))
    projected = graph.node("MatMul", item, c(networks.item))
    product = graph.node("Mul", projected, graph.node("MatMul", user, c(networks.user)))
    hidden = graph.sum(
        graph.node("MatMul", clipped, c(networks.dense)),
        graph.node("MatMul", projected, c(networks.projected)),
        graph.node("MatMul", product, c(networks.product)),
        c(networks.first),
    )
    second = graph.node("MatMul", _silu(graph, hidden), c(networks.second))
    second = graph.sum(second, c(networks.second_bias))
    outputs = graph.node("MatMul", _silu(graph, second), c(networks.head))
    return graph.sum(outputs, c(networks.head_bias))


def expected_rewards(graph: Graph, model: RewardModel, inputs: tuple[str, str, str]) -> str:
    """Calibrated expected reward of each head, in the mean over members, (N, heads)."""
    outputs = pair_outputs(graph, model.networks, *inputs)
    slope, intercept = (
        np.array([getattr(c, x) for c in model.calibration]) for x in ("slope", "intercept")
    )
    line = graph.node("Mul", outputs, graph.constant(slope))
    line = graph.sum(line, graph.constant(intercept))
    binary = np.array([c.binary for c in model.calibration], np.float64)
    share = graph.node("Mul", graph.node("Sigmoid", line), graph.constant(binary))
    value = graph.node("Mul", line, graph.constant(1.0 - binary))
    return _mean(graph, graph.sum(share, value), 0)


def learned_score(
    graph: Graph, scorer: LearnedScorer, inputs: tuple[str, str, str], heads: str, depth: int
) -> str:
    """A learned score less its mean over the candidates, (N, 1).

    Args:
        graph: is added to.
        scorer: of the policy.
        inputs: of its behaviour model.
        heads: what ``expected_rewards`` gave of that model.
        depth: see ``known_name``.
    """
    scale, of = scorer.scalarisation, scorer.reward_model
    columns = []
    for objective in scale.objectives:
        if objective.source == "feedback":
            place = graph.constant(np.array([of.heads.index(objective.name)], np.int64))
            columns.append(graph.node("Gather", heads, place, axis=1))
        else:
            columns.append(known_column(graph, objective.name, depth))
    rewards = graph.node("Concat", *columns, axis=1)
    centred = graph.node("Sub", rewards, graph.constant(scale.mean))
    standard = graph.node("Div", centred, graph.constant(scale.scale))
    value = graph.node("MatMul", standard, graph.constant(scale.weight[:, None]))
    dense = graph.node("Concat", _mean(graph, inputs[0], 0), standard, value, axis=1)
    networks = PairForward.of([scorer.network.pair])
    outputs = graph.node(
        "Squeeze",
        pair_outputs(graph, networks, dense, *inputs[1:]),
        graph.constant(np.array([0], np.int64)),
    )
    gained = graph.node("Mul", value, graph.constant(float(scorer.network.gain.detach())))
    score = graph.sum(gained, outputs)
    return graph.node("Sub", score, _mean(graph, score, 0, keepdims=1))


def known_column(graph: Graph, name: str, depth: int) -> str:
    """The input of an objective that is known of every candidate, (N, 1)."""
    return graph.input(known_name(name, depth), CANDIDATES, 1)


def known_name(name: str, depth: int) -> str:
    """Of an objective, as the tuned policy ``depth`` anchors below the exported one has it."""
    return f"known_{depth}.{name}"


def score_name(column: str, depth: int) -> str:
    """Of a score that is no network's, of the policy at this depth."""
    return f"score_{depth}.{column}"


def _silu(graph: Graph, x: str) -> str:
    """-y · sigmoid(y) of x = -y / 2, as ``PairForward`` computes it."""
    return graph.node("Sub", x, graph.node("Mul", x, graph.node("Tanh", x)))


def _mean(graph: Graph, value: str, axis: int, keepdims: int = 0) -> str:
    return graph.node("ReduceMean", value, axes=[axis], keepdims=keepdims)
