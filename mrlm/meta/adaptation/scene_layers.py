"""The behaviour model's last layer for each scene: a gate on every hidden unit, in closed form.

A gate g in [0, 2] on a hidden unit, as PEPNet's (Chang et al., KDD 2023), multiplies what the unit
adds to an output, so g - 1 is the coefficient of that contribution: linear, with 1 the shared
network. Its spread over scenes is learnt by marginal likelihood. That takes rows to be independent
given the user's level, and what a user likes is in all of their rows: it finds scenes where there
are only users. So a head has gates only where gates of some users predict others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
from mrlm.behaviour.uncertainty.last_layer import LastLayer, Vector
from mrlm.meta.adaptation.layer_prior import LayerPrior, layer_prior, layer_under

# A gate of so much closes or doubles a unit.
_FARTHEST = 1.0
# A binary reward that is nearly certain counts as if it had this variance.
_LEAST_VARIANCE = 0.01
# Standard errors by which gates of some users have to predict the others: 1 % by chance.
_PREDICTS_Z = 2.33
# Parts of a member's users, of which each is predicted by gates of the others.
_PARTS = 2


@dataclass(frozen=True)
class _Rows:
    """Final rewards of one head, of n rows whose users one member's network never saw.

    Attributes:
        member: of the ensemble.
        parts: float64, shape (n, h), what each hidden unit adds to the output.
        left: float64, shape (n,), of the reward, in units of its own standard deviation.
        slope: float64, shape (n,), how ``left`` falls with the output.
        scene: code of each row's scene, shape (n,).
        user: code of each row's user, shape (n,).
        part: of the users, shape (n,), in [0, _PARTS).
    """

    member: int
    parts: Vector
    left: Vector
    slope: Vector
    scene: NDArray[np.int64]
    user: NDArray[np.int64]
    part: NDArray[np.int64]

    def where(self, kept: NDArray[np.bool_]) -> _Rows:
        """Some of the rows."""
        return _Rows(
            member=self.member,
            parts=self.parts[kept],
            left=self.left[kept],
            slope=self.slope[kept],
            scene=self.scene[kept],
            user=self.user[kept],
            part=self.part[kept],
        )

    def prior(self, scenes: int) -> LayerPrior:
        """How far gates of these scenes spread, and they themselves given all rows."""
        return layer_prior(*self._moves(scenes), group(self.user)[1], self.left)

    def gates(self, prior: LayerPrior) -> Vector:
        """Gates less 1 by these rows under a prior, shape (S, h)."""
        scenes = len(prior.layer.mean) // (self.parts.shape[1] + 1) - 1
        found = layer_under(prior, *self._moves(scenes), group(self.user)[1], self.left)
        return _gates(found, scenes)

    def added(self, gates: Vector) -> Vector:
        """What gates less 1, shape (S, h), add to each row's output, shape (n,)."""
        return np.asarray(np.einsum("nh,nh->n", self.parts, gates[self.scene]), np.float64)

    def _moves(self, scenes: int) -> tuple[csr_matrix, NDArray[np.int64]]:
        """How gates and the level, of all scenes and of each, move a row, and their kinds."""
        moves = self.slope[:, None] * np.column_stack([self.parts, np.ones(len(self.left))])
        n, width = moves.shape
        # What all scenes have in common is told apart and left out: the shared network stays.
        columns = np.stack([np.zeros_like(self.scene), self.scene + 1], axis=1)[:, :, None] * width
        columns = columns + np.arange(width)
        features = csr_matrix(
            (
                np.repeat(moves[:, None], 2, axis=1).ravel(),
                (np.repeat(np.arange(n), 2 * width), columns.ravel()),
            ),
            shape=(n, (scenes + 1) * width),
        )
        kind = np.append(np.zeros(width - 1, np.int64), 1)
        return features, np.concatenate([kind, *[kind + 2] * scenes])

    def levels(self, gates: Vector) -> Vector:
        """Mean of that over each scene's rows, shape (S,); 0 where a scene has none."""
        total = np.bincount(self.scene, weights=self.added(gates), minlength=len(gates))
        rows = np.maximum(np.bincount(self.scene, minlength=len(gates)), 1)
        return np.asarray(total / rows, np.float64)


def with_scene_heads(model: RewardModel, log: BanditLog, *, checked: bool = True) -> RewardModel:
    """The model with a last layer of its own for each scene of the log it was fitted on.

    Each member's gates are fitted on the final rewards of the users whom its network never saw.
    What they add is 0 in the mean of a scene: its level is the shared network's, which knows it.
    A head whose gates, fitted on some users, do not predict other users by more than 2.33
    standard errors keeps the shared layer. Where no head has gates, or the log has one scene, the
    model stays as it is.

    Args:
        model: fitted on the log.
        log: n decisions.
        checked: whether a head's gates have to predict other users; if not, every head has some.
    """
    names, scene = np.unique(log.decisions.scene.astype(str), return_inverse=True)
    if len(names) < 2:
        return model
    k, width, heads = model.networks.head.shape
    weight, bias = np.zeros((k, len(names), width, heads)), np.zeros((k, len(names), heads))
    for j, rows in enumerate(_rows_of_heads(model, log, scene)):
        priors = [own.prior(len(names)) for own in rows]
        if not checked or _predicts_other_users(rows, priors):
            for own, prior in zip(rows, priors, strict=True):
                gates = _gates(prior.layer, len(names))
                weight[own.member, :, :, j] = gates * model.networks.head[own.member, :, j]
                bias[own.member, :, j] = -own.levels(gates)
    return replace(model, scenes=SceneHeads(names, weight, bias)) if weight.any() else model


def _rows_of_heads(
    model: RewardModel, log: BanditLog, scene: NDArray[np.int64]
) -> Iterator[list[_Rows]]:
    """Of each head the rows of every member that has some to learn from."""
    decisions = shown_only(log)
    hidden, outputs = model.hidden(decisions)
    predicted = model.calibrated(outputs)
    users = decisions.user
    fold, user = user_folds(users, model.folds, crc()), group(users)[1]
    part = user_folds(users, _PARTS, crc("scene gates"))
    for j, head in enumerate(model.heads):
        column = log.column(head)
        reward = np.where(log.final[:, column], log.rewards[:, column], np.nan)
        found = []
        for member in range(model.folds):
            rows = np.flatnonzero((fold == member) & np.isfinite(reward))
            left, slope = _linear(model.calibration[j], reward[rows], predicted[member, rows, j])
            if len(np.unique(left)) > 1:
                parts = hidden[member, rows] * model.networks.head[member, :, j]
                found.append(_Rows(member, parts, left, slope, scene[rows], user[rows], part[rows]))
        yield found


def _predicts_other_users(members: Sequence[_Rows], priors: Sequence[LayerPrior]) -> bool:
    """Whether gates fitted on some users predict the others by more than chance does.

    How much squared error they save, summed over each user's rows: users are independent. How far
    gates spread, one number of thousands of rows, is taken from all of them.
    """
    saved = []
    for rows, prior in zip(members, priors, strict=True):
        for part in range(_PARTS):
            known, asked = rows.where(rows.part != part), rows.where(rows.part == part)
            if len(known.left) and len(asked.left):
                gates = known.gates(prior)
                moved = asked.slope * (asked.added(gates) - known.levels(gates)[asked.scene])
                less = asked.left**2 - (asked.left - moved) ** 2
                saved.append(np.bincount(group(asked.user)[1], weights=less))
    by_user = np.concatenate([np.zeros(0), *saved])
    if len(by_user) < 2:
        return False
    error = np.sqrt(len(by_user)) * by_user.std(ddof=1)
    return bool(by_user.sum() > _PREDICTS_Z * error)


def _linear(calibration: Calibration, reward: Vector, predicted: Vector) -> tuple[Vector, Vector]:
    """What is left of each reward, and how it moves with the output, to first order.

    In units of the reward's own standard deviation, as in a step of reweighted least squares.
    """
    if not calibration.binary:
        return reward - predicted, np.full(len(reward), calibration.slope)
    variance = predicted * (1 - predicted)
    spread = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    return (reward - predicted) / spread, calibration.slope * variance / spread


def _gates(layer: LastLayer, scenes: int) -> Vector:
    """Gates less 1 of each scene, shape (S, h): the first block of ``layer`` is of all scenes."""
    return layer.mean.reshape(scenes + 1, -1)[1:, :-1].clip(-_FARTHEST, _FARTHEST)
