"""What is known of scenes, in as few numbers as a handful of scenes can bear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem.tuned_softmax import Vector

# Of so few scenes no more directions are told apart.
_MOST = 3
# A direction of less than this share of the first one's length is rounding.
_LEAST = 1e-6


def scene_features(
    known: Mapping[str, NDArray[Any]], names: Sequence[str], most: int
) -> list[Vector]:
    """Principal components of the scenes' vectors: one table for each number of them.

    Vectors are of their descriptions, or of their users. The components are the directions in which
    they differ most, known before any outcome is looked at: a vector has hundreds of numbers, and a
    regression over a handful of scenes bears one to three. How many say something of what scenes
    want is for ``coefficient_model`` to choose. In units of the first component's standard
    deviation. A scene without a vector lies at their mean, 0.

    Args:
        known: vector of each scene of which there is one, shape (dimensions,).
        names: S scenes, those of the vectors among them.
        most: components at most.

    Returns:
        Tables of shape (S, 1), (S, 2) and so on, at most three; none where fewer than three scenes
        have a vector, or all have the same.
    """
    own = [place for place, name in enumerate(names) if name in known]
    if len(own) < 3:
        return []
    vectors = np.stack([np.asarray(known[names[place]], np.float64) for place in own])
    left, length, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    kept = min(int((length > _LEAST).sum()), int((length > _LEAST * length[0]).sum()), most, _MOST)
    components = np.zeros((len(names), kept))
    if kept:
        components[own] = left[:, :kept] * (length[:kept] / length[0]) * np.sqrt(len(own))
    return [components[:, : k + 1] for k in range(kept)]
