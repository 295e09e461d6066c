from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationState, estimates
from mrlm.ope.nights.power import gain_for_rows, rows_for_gain


def test_rows_show_the_gain_they_are_for(make_batch):
    """A normal mean with that many rows passes in .8 of 2000 tries: outside .03 with p < .001."""
    e = estimates(EvaluationState.of(ESTIMATORS["ips"](make_batch(n=400, users=400))))["o0"]
    rows = rows_for_gain(e, 0.05)
    error = e.standard_error * np.sqrt(e.rows / rows)
    seen = 0.05 + error * np.random.default_rng(0).normal(size=2000)
    assert np.mean(seen - 1.6449 * error > 0) == pytest.approx(0.8, abs=0.03)
    assert rows_for_gain(e, 0.1) == pytest.approx(rows / 4, abs=1)
    assert rows_for_gain(e, 0.05, power=0.95) > rows > rows_for_gain(e, 0.05, error=0.2)
    assert gain_for_rows(e, rows) == pytest.approx(0.05, rel=1e-3)


def test_without_a_standard_error_nothing_can_be_said(make_batch):
    e = estimates(EvaluationState.of(ESTIMATORS["ips"](make_batch())))["o0"]
    unknown = replace(e, standard_error=float("nan"))
    assert rows_for_gain(unknown, 0.1) is None
    assert np.isnan(gain_for_rows(unknown, 10))
    with pytest.raises(ValueError, match="above 0"):
        rows_for_gain(e, 0.0)
    with pytest.raises(ValueError, match="power"):
        rows_for_gain(e, 0.1, power=1.0)
    with pytest.raises(ValueError, match="1 or more"):
        gain_for_rows(e, 0)
