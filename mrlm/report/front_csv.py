"""The Pareto front as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from mrlm.meta.explain.pareto import ParetoPoint


def front_as_csv(points: Sequence[ParetoPoint]) -> str:
    """A line a point: between which objectives, the weight, lifts with bounds, KL, dominated.

    Columns of an objective are ``lift_NAME``, ``error_NAME`` (standard error) and
    ``certified_NAME`` (lower bound). Numbers have all their digits.
    """
    names = list(points[0].lifts) if points else []
    of_each = [f"{kind}_{n}" for n in names for kind in ("lift", "error", "certified")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["objective", "weight", *of_each, "kl", "dominated"])
    for p in points:
        lifts = [
            x
            for n in names
            for x in (p.lifts[n].value, p.lifts[n].standard_error, p.lifts[n].lower)
        ]
        writer.writerow([p.objective, p.weight, *lifts, p.kl, p.dominated])
    return out.getvalue()
