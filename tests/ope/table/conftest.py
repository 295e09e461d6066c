from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest


@pytest.fixture
def make_table():
    """Rounds of two policies and two objectives over three actions, with predictions."""

    def make(n=4000, users=300, seed=0) -> pa.Table:
        g = np.random.default_rng(seed)
        logger = np.array([0.5, 0.3, 0.2])
        targets = {"a": np.array([0.2, 0.3, 0.5]), "b": np.array([0.4, 0.4, 0.2])}
        rate = {"click": np.array([0.1, 0.3, 0.5]), "view": np.array([0.8, 0.5, 0.4])}
        action = g.choice(3, n, p=logger)
        columns = {
            "user_id": [f"u{c:04d}" for c in g.integers(0, users, n)],
            "propensity": logger[action],
            "slot": np.zeros(n, int),
        }
        for name, p in targets.items():
            columns[f"target_probability_{name}"] = p[action]
        for name, r in rate.items():
            columns[f"reward_{name}"] = (g.random(n) < r[action]).astype(float)
            columns[f"q_hat_{name}"] = (r + 0.05)[action]
            for policy, p in targets.items():
                columns[f"v_hat_{policy}_{name}"] = np.full(n, p @ (r + 0.05))
        return pa.table(columns)

    return make
