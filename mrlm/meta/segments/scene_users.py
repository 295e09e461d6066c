"""What the users of each scene are like, in one vector a scene."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from mrlm.bandit_log.decisions import Decisions
from mrlm.bandit_log.segment_labels import HISTORY_BANDS, history_bands
from mrlm.bandit_log.users import group
from mrlm.meta.problem.tuned_softmax import Vector


def scene_users(decisions: Decisions) -> dict[str, Vector]:
    """Mean state of each scene's users: what they looked back on, and how much of it there was.

    A decision's state is the mean of the vectors of the items in its history, 0 where it has none,
    and the band of its history's length. Every user counts once in a scene, by the mean of the
    user's decisions in it.

    Args:
        decisions: n, whose catalogue may have vectors.

    Returns:
        Scene to float64, shape (dimensions + 3,); drawn to the mean of all, see ``drawn_to_mean``.
    """
    names, scene = np.unique(decisions.scene.astype(str), return_inverse=True)
    users, user = group(decisions.user)
    _, place, rows = np.unique(scene * len(users) + user, return_inverse=True, return_counts=True)
    weight = 1.0 / rows[place]
    bands = np.array(HISTORY_BANDS, str)
    sums, start = [], 0
    for _, block in decisions.blocks():
        own = slice(start, start + len(block))
        start += len(block)
        share = csr_matrix(
            (weight[own], (scene[own], np.arange(len(block)))), (len(names), len(block))
        )
        band = np.searchsorted(bands, history_bands(block).astype(str))
        state = np.column_stack([_looked_at(block), np.eye(len(bands))[band]])
        sums.append((share @ state, share @ (state**2).sum(axis=1)))
    total, square = (np.sum(parts, axis=0) for parts in zip(*sums, strict=True))
    found = drawn_to_mean(total, square, np.bincount(scene, weights=weight).astype(np.float64))
    return dict(zip(names.tolist(), found, strict=True))


def drawn_to_mean(total: Vector, square: Vector, users: Vector) -> Vector:
    """Mean of each scene's users, drawn to that of all as far as chance may set them apart.

    The best linear prediction of a scene's mean where scenes are draws of their own: one-way random
    effects, with variances by the analysis of variance, summed over dimensions (Searle, Casella and
    McCulloch, "Variance Components", Wiley 1992, section 3.6). Where scenes differ no more than
    their users do by chance, all get the mean of all. A scene of few users could else lie farther
    out than any from which a regression was learnt.

    Args:
        total: sums over a scene's users, float64, shape (S, d).
        square: sums of their squared lengths, float64, shape (S,).
        users: how many there are, float64, shape (S,), positive.

    Returns:
        Float64, shape (S, d).
    """
    every, scenes = float(users.sum()), len(users)
    mean, overall = total / users[:, None], total.sum(axis=0) / every
    apart = ((mean - overall) ** 2).sum(axis=1)
    within = float(square.sum() - users @ (mean**2).sum(axis=1)) / max(every - scenes, 1.0)
    size = max(every - float(users @ users) / every, 1e-300)
    between = max(float(users @ apart - (scenes - 1) * within) / size, 0.0)
    share = between / np.maximum(between + within / users, 1e-300)
    return np.asarray(overall + share[:, None] * (mean - overall), np.float64)


def _looked_at(decisions: Decisions) -> Vector:
    """Mean vector of what each decision looked back on, shape (n, dimensions); 0 for nothing."""
    vectors = decisions.catalog.embedding
    if vectors is None:
        return np.zeros((len(decisions), 0))
    history = decisions.history
    share = 1.0 / np.maximum(history.lengths, 1)[history.row]
    items = csr_matrix((share, history.values, history.offsets), (len(decisions), len(vectors)))
    return np.asarray(items @ vectors, np.float64)
