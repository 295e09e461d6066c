"""Weights that a person fixes, as a direction over the features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.problem.tuning_problem import TuningProblem


def typed_direction(problem: TuningProblem, weights: Mapping[str, float]) -> Vector:
    """Weights by name as a direction over the features, shape (f,), |.| summing to 1.

    Args:
        problem: the features, and which objective each serves.
        weights: objective, or else feature, to weight. What several features serve is shared.

    Raises:
        ValueError: a name is neither an objective with a feature nor a feature, or all weights
            are 0.
    """
    theta = np.zeros(len(problem.columns))
    for name, weight in weights.items():
        places = [j for j, s in enumerate(problem.serves) if s == name]
        places = places or [j for j, c in enumerate(problem.columns) if c == name]
        if not places:
            raise ValueError(
                f"fixed weight {name!r} is neither an objective with a feature nor a feature; "
                f"the features are {list(problem.columns)}"
            )
        theta[places] += weight / len(places)
    total = float(np.abs(theta).sum())
    if not total > 0:
        raise ValueError("fixed weights must not all be 0")
    return theta / total
