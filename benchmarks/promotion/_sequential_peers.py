"""Boundaries of sequential-analysis and expectation: run by the peers' own Python.

``python _sequential_peers.py FILE.npz`` prints as JSON the bounds of every spending and error, and
the half widths of the two-sided normal mixture.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

SPENDINGS: dict[str, Any] = {
    "power family": ("power", 2.0),
    "O'Brien-Fleming": "obrien-fleming",
    "Pocock": "pocock",
}


def bounds(found: Any) -> dict[str, list[list[float]]]:
    """Of each spending a row an error, one bound a look."""
    from sequential_analysis.group_sequential import group_sequential_design

    fractions = found["fractions"].tolist()
    return {
        name: [
            list(group_sequential_design(error, fractions, kind).bounds)
            for error in found["errors"].tolist()
        ]
        for name, kind in SPENDINGS.items()
    }


def half_widths(found: Any) -> list[float]:
    """Of a mean of so many terms of variance 1."""
    from expectation.modules.martingales import TwoSidedNormalMixture

    mixture = TwoSidedNormalMixture(1.0, 0.05)
    mixture.rho = float(found["rho"])
    threshold = float(-np.log(found["alpha"]))
    return [float(mixture.bound(n, threshold)) / n for n in found["terms"].tolist()]


if __name__ == "__main__":
    given = np.load(sys.argv[1])
    print(json.dumps({"bounds": bounds(given), "half": half_widths(given)}))
