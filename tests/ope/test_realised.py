from __future__ import annotations

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationState
from mrlm.ope.intervals import estimates
from mrlm.ope.realised import over_nights
from mrlm.ope.tomorrow import two_way_variance


def nights(make_batch, number):
    batches = [make_batch(seed=t, n=200, users=40, missing=0.0) for t in range(number)]
    return {str(t): EvaluationState.of(ESTIMATORS["dr"](b)) for t, b in enumerate(batches)}


def test_one_night_is_its_own_estimate(make_batch):
    states = nights(make_batch, 1)
    assert over_nights(states, 0.9) == estimates(states["0"], 0.9)


def test_several_nights_are_one_estimate_with_the_luck_of_nights(make_batch):
    states = nights(make_batch, 5)
    found = over_nights(states, 0.9)
    merged = states["0"]
    for t in range(1, 5):
        merged = merged.merge(states[str(t)])
    errors = np.sqrt(two_way_variance(states))
    for error, (name, alone) in zip(errors, estimates(merged, 0.9).items(), strict=True):
        e = found[name]
        assert (e.value, e.certified) == (alone.value, alone.certified)
        assert e.standard_error == pytest.approx(error)
        assert e.standard_error >= alone.standard_error
        assert e.lower <= alone.lower <= alone.upper <= e.upper


def test_no_nights_are_refused():
    with pytest.raises(ValueError, match="no nights"):
        over_nights({}, 0.95)
