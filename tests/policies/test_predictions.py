from __future__ import annotations

import numpy as np
import pytest

from mrlm.policies.predictions import by_objective
from tests.evidence.arrays import DELIGHT, FRESH, LIKE, make_log


def test_what_is_known_is_exact() -> None:
    log = make_log(n=20)
    many = len(log.decisions.candidates.values)
    found = by_objective(log, (FRESH, LIKE), {"like": np.full(many, 0.5)})
    assert found[:, 0].tolist() == [1.0] * many, "every item has a category not seen above"
    assert found[:, 1].tolist() == [0.5] * many


def test_feedback_without_a_head_is_refused() -> None:
    with pytest.raises(KeyError, match="like"):
        by_objective(make_log(n=4), (DELIGHT, LIKE), {"delight": np.zeros(12)})


def test_heads_are_taken_by_name() -> None:
    log = make_log(n=2)
    heads = {"like": np.arange(6.0), "delight": -np.arange(6.0), "unused": np.zeros(6)}
    found = by_objective(log, (DELIGHT, LIKE), heads)
    assert found.tolist() == [[-x, x] for x in np.arange(6.0)]
