from __future__ import annotations

import numpy as np
import pytest

from mrlm.policies.predictions import by_objective, predictions
from tests.evidence.arrays import DELIGHT, FRESH, LIKE, Heads, make_log


def test_a_head_predicts_feedback_and_what_is_known_is_exact() -> None:
    log = make_log(n=20)
    code = log.decisions.candidates.values
    found = predictions(log, (FRESH, DELIGHT, LIKE), Heads(("like", "delight")))
    assert found.shape == (len(code), 3)
    assert found[:, 0].tolist() == [1.0] * len(code), "every item has a category not seen above"
    assert found[:, 1] == pytest.approx(code / 5 + 0.3)
    assert found[:, 2].tolist() == [0.5] * len(code)


def test_a_model_without_a_head_for_feedback_is_refused() -> None:
    log = make_log(n=4)
    with pytest.raises(KeyError, match="like"):
        predictions(log, (DELIGHT, LIKE), Heads(("delight",)))
    assert predictions(log, (DELIGHT,), Heads(("delight",))).shape == (12, 1)


def test_heads_are_taken_by_name() -> None:
    log = make_log(n=2)
    heads = {"like": np.arange(6.0), "delight": -np.arange(6.0), "unused": np.zeros(6)}
    found = by_objective(log, (DELIGHT, LIKE), heads)
    assert found.tolist() == [[-x, x] for x in np.arange(6.0)]
