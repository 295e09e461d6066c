from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mrlm.ope import EvaluationBatch


@pytest.fixture
def make_batch() -> Callable[..., EvaluationBatch]:
    """A random ragged log of several objectives with a soft target policy."""

    def make(
        seed=0, n=60, m=2, users=12, largest=6, missing=0.1, names=True, on_policy=False
    ) -> EvaluationBatch:
        g = np.random.default_rng(seed)
        lengths = g.integers(1, largest + 1, n)
        offsets = np.concatenate([[0], np.cumsum(lengths)])

        def policy():
            x = np.exp(g.normal(size=offsets[-1]))
            return x / np.repeat(np.add.reduceat(x, offsets[:-1]), lengths)

        logger = policy()
        shown = offsets[:-1] + np.array(
            [g.choice(k, p=logger[o : o + k]) for o, k in zip(offsets[:-1], lengths, strict=True)]
        )
        rewards = g.normal(0.3, 1.0, (n, m))
        rewards[g.random((n, m)) < missing] = np.nan
        codes = g.integers(0, users, n)
        cluster = np.array([f"u{c}" for c in codes], object) if names else codes
        return EvaluationBatch(
            cluster=cluster,
            offsets=offsets,
            target=logger if on_policy else policy(),
            shown=shown,
            propensity=logger[shown],
            rewards=rewards,
            objectives=tuple(f"o{j}" for j in range(m)),
            q=g.normal(0.2, 1.0, (offsets[-1], m)),
            candidate_propensity=logger,
            features=g.normal(size=(offsets[-1], 2)),
        )

    return make
