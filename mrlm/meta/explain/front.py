"""The stored Pareto table, with bounds that hold for all of its points at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mrlm.meta.explain.pareto import ParetoPoint
from mrlm.meta.problem.contract import BoundedLift
from mrlm.meta.problem.objective_lifts import CERTIFIED, certified_z, lowered


def certified_front(
    stored: Sequence[Mapping[str, Any]], features: int, level: float = CERTIFIED
) -> list[ParetoPoint]:
    """Points whose lower bounds hold together, for every point and every objective.

    They hold as well for tonight's kappa and scale, which were chosen on the same nights: see
    ``certified_z``.

    Args:
        stored: points of ``pareto`` as plain data.
        features: f, the coordinates of a point less kappa.
        level: of all bounds together, in (0, 1).
    """
    points = [
        ParetoPoint(**{**p, "lifts": {n: BoundedLift(**x) for n, x in p["lifts"].items()}})
        for p in stored
    ]
    z = certified_z(1 + features, max((len(p.lifts) for p in points), default=1), level)
    return [replace(p, lifts={n: lowered(x, z) for n, x in p.lifts.items()}) for p in points]
