"""Evaluate two policies from a table of logged decisions, with the library alone.

Run it with ``.venv/bin/python examples/evaluate_table.py``. The same answer comes from the command
line: ``mrlm ope TABLE.parquet``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mrlm import evaluate_table

USERS, DECISIONS, ITEMS = 1_000, 10, 4
# The chance that a user likes each of the four items. In your own log nobody knows these numbers.
LIKE = np.array([0.10, 0.20, 0.30, 0.40])
# What the logger did, and two policies that we would like to compare with it.
LOGGER = np.array([0.40, 0.30, 0.20, 0.10])
POLICIES = {"uniform": np.full(ITEMS, 1 / ITEMS), "best_first": np.array([0.05, 0.10, 0.25, 0.60])}


def write_log(path: Path, seed: int = 1) -> None:
    """Write what a platform would have logged: who saw what, how likely, and what happened."""
    random = np.random.default_rng(seed)
    n = USERS * DECISIONS
    shown = random.choice(ITEMS, n, p=LOGGER)
    columns = {
        # Users are the unit of independence: ten decisions of one user are not ten users.
        "user_id": np.repeat([f"user-{u}" for u in range(USERS)], DECISIONS),
        # The probability with which the logger showed the item that it showed.
        "propensity": LOGGER[shown],
        "reward_like": (random.random(n) < LIKE[shown]).astype(float),
        # For each policy, the probability with which it would have shown that very item.
        **{f"target_probability_{name}": p[shown] for name, p in POLICIES.items()},
    }
    pq.write_table(pa.table(columns), path)


def main() -> None:
    """Write a log, evaluate the policies on it, and print the estimates beside the truth."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.parquet")
        write_log(path)
        found = evaluate_table(path)

    # Several estimators read the table; ``best`` takes the one to believe, by a rule that looks at
    # no value. A verdict comes with it: an interval that may not be believed says why.
    for name, probabilities in POLICIES.items():
        e = found.best([e for e in found.estimates if e.policy == name])
        verdict = "certified" if e.certified else e.certificate.reason
        truth = probabilities @ LIKE
        print(
            f"{name:<22} {e.value:.3f} [{e.lower:.3f}, {e.upper:.3f}] by {e.estimator}, {verdict}; "
            f"the truth is {truth:.3f}"
        )

    # The difference of two policies on the same decisions has a narrower interval than either.
    for e in found.differences:
        if e.estimator == found.selected["like"]:
            print(f"{e.policy:<22} {e.value:+.3f} [{e.lower:+.3f}, {e.upper:+.3f}]")


if __name__ == "__main__":
    main()
