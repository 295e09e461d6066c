"""The behaviour model's last layer for each scene: a gate on every hidden unit, in closed form.

A gate g in [0, 2] on a hidden unit, as PEPNet's (Chang et al., KDD 2023), multiplies what the unit
adds to an output, so g - 1 is the coefficient of that contribution: linear, with 1 the shared
network. Its spread over scenes is learnt by marginal likelihood.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.bandit_log.users import group
from mrlm.behaviour.ensemble.calibration import Calibration
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.networks.scene_heads import SceneHeads
from mrlm.behaviour.uncertainty.last_layer import Vector
from mrlm.meta.adaptation.layer_prior import layer_prior

# A gate of so much closes or doubles a unit.
_FARTHEST = 1.0
# A binary reward that is nearly certain counts as if it had this variance.
_LEAST_VARIANCE = 0.01


def with_scene_heads(model: RewardModel, log: BanditLog) -> RewardModel:
    """The model with a last layer of its own for each scene of the log it was fitted on.

    Each member's gates are fitted on the final rewards of the users whom its network never saw.
    What they add is 0 in the mean of a scene: its level is the shared network's, which knows it.
    Where the log has one scene the model stays as it is.

    Args:
        model: fitted on the log.
        log: n decisions.
    """
    names, scene = np.unique(log.decisions.scene.astype(str), return_inverse=True)
    if len(names) < 2:
        return model
    decisions = shown_only(log)
    hidden, outputs = model.hidden(decisions)
    predicted = model.calibrated(outputs)
    fold, user = user_folds(decisions.user, model.folds, crc()), group(decisions.user)[1]
    k, width, heads = model.networks.head.shape
    weight, bias = np.zeros((k, len(names), width, heads)), np.zeros((k, len(names), heads))
    for j, head in enumerate(model.heads):
        column = log.column(head)
        reward = np.where(log.final[:, column], log.rewards[:, column], np.nan)
        for member in range(k):
            rows = np.flatnonzero((fold == member) & np.isfinite(reward))
            own = model.networks.head[member, :, j]
            left, slope = _linear(model.calibration[j], reward[rows], predicted[member, rows, j])
            if len(np.unique(left)) > 1:
                parts = np.column_stack([hidden[member, rows] * own, np.ones(len(rows))])
                moves = slope[:, None] * parts
                gates = _gates(moves, scene[rows], user[rows], left, len(names))
                weight[member, :, :, j] = gates * own
                bias[member, :, j] = [
                    -(hidden[member, rows[scene[rows] == s]] @ (gates[s] * own)).mean()
                    if (scene[rows] == s).any()
                    else 0.0
                    for s in range(len(names))
                ]
    return replace(model, scenes=SceneHeads(names, weight, bias))


def _linear(calibration: Calibration, reward: Vector, predicted: Vector) -> tuple[Vector, Vector]:
    """What is left of each reward, and how it moves with the output, to first order.

    In units of the reward's own standard deviation, as in a step of reweighted least squares.
    """
    if not calibration.binary:
        return reward - predicted, np.full(len(reward), calibration.slope)
    variance = predicted * (1 - predicted)
    spread = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    return (reward - predicted) / spread, calibration.slope * variance / spread


def _gates(
    moves: Vector, scene: NDArray[np.int64], user: NDArray[np.int64], left: Vector, scenes: int
) -> Vector:
    """Gates less 1, shape (S, h), by what each and the level move a row, (n, h + 1)."""
    n, width = moves.shape
    # What all scenes have in common is told apart and left out: the shared network stays.
    columns = np.stack([np.zeros_like(scene), scene + 1], axis=1)[:, :, None] * width
    columns = columns + np.arange(width)
    features = csr_matrix(
        (
            np.repeat(moves[:, None], 2, axis=1).ravel(),
            (np.repeat(np.arange(n), 2 * width), columns.ravel()),
        ),
        shape=(n, (scenes + 1) * width),
    )
    kind = np.append(np.zeros(width - 1, np.int64), 1)
    block = np.concatenate([kind, *[kind + 2] * scenes])
    found = layer_prior(features, block, user, left).layer.mean.reshape(scenes + 1, width)[1:]
    return found[:, :-1].clip(-_FARTHEST, _FARTHEST)
