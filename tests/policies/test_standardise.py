from __future__ import annotations

import numpy as np
import pytest

from mrlm.policies.standardise import Standardiser


def test_standardise():
    g = np.random.default_rng(0)
    raw = np.column_stack([g.normal(5, 3, 2000), np.full(2000, 0.1), g.normal(0, 1e-6, 2000)])
    found = Standardiser.fit(("a", "constant", "small"), raw)
    z = found.apply(raw)
    assert z[:, 0].std() == pytest.approx(1, abs=0.02)
    assert np.abs(z[:, 1]).max() < 1e-9
    assert z[:, 2].std() == pytest.approx(1, abs=0.02)
    assert found.apply(np.array([[1e9, 0.1, -1e9]])).tolist() == [[4.0, pytest.approx(0), -4.0]]


def test_standardise_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match=r"\['b'\]"):
        Standardiser.fit(("a", "b"), np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="2 columns"):
        Standardiser.fit(("a", "b"), np.zeros((3, 1)))
