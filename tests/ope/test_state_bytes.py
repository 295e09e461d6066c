from __future__ import annotations

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationState
from mrlm.ope.state.state_bytes import from_bytes, to_bytes


@pytest.mark.parametrize("names", [True, False])
def test_bytes_keep_everything(names, make_batch):
    state = EvaluationState.of(ESTIMATORS["dr"](make_batch(names=names)))
    again = from_bytes(to_bytes(state))
    for name, value in vars(state).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(getattr(again, name), value), name
        else:
            assert getattr(again, name) == value
    merged = again.merge(state)
    assert np.array_equal(merged.rows, 2 * state.rows)


@pytest.mark.parametrize("names", [True, False])
def test_a_state_of_no_users_has_bytes(names, make_batch):
    state = EvaluationState.of(ESTIMATORS["dr"](make_batch(names=names)))
    nobody = state.subtract(state)
    again = from_bytes(to_bytes(nobody))
    assert len(again.cluster) == 0
    assert again.numerator.shape == nobody.numerator.shape
    assert np.array_equal(again.merge(state).rows, state.rows)
