from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("name", "place", "value", "match"),
    [
        ("log_propensity", 3, -np.inf, "row 3: the log propensity must be finite"),
        ("log_propensity", 3, 0.1, "row 3: the log propensity"),
        ("log_propensity", 3, np.nan, "row 3: the log propensity"),
        ("log_target", 5, 0.1, "row 5: the log target is above 0"),
        ("log_target", 5, np.nan, "row 5: the log target"),
        ("log_target", 5, -9.0, "row 5: the log target is not that of the shown"),
        ("rewards", (4, 1), np.inf, "row 4: a reward is infinite"),
        ("q", (0, 0), np.nan, "row 0: a predicted value q"),
        ("target", 0, -0.1, "row 0: a target probability is negative"),
        ("target", 0, 3.0, "row 0: the target probabilities do not sum to 1"),
        ("shown", 2, 10_000, "row 2: shown is not a candidate"),
        ("offsets", 5, 0, "row 4: one of the sessions has no steps"),
        ("step_offsets", 5, 0, "row 4: one of the steps has no candidates"),
    ],
)
def test_bad_values_name_their_row(name, place, value, match, make_sessions):
    batch = make_sessions()
    array = np.array(getattr(batch, name))
    array[place] = value
    with pytest.raises(ValueError, match=match):
        replace(batch, **{name: array})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"objectives": ("a",)}, "rewards must have shape"),
        ({"objectives": ("a", "a")}, "must differ"),
        ({"cluster": np.zeros(3, int)}, "cluster must have shape"),
        ({"cluster": np.zeros(50)}, "integers or strings"),
        ({"shown": None}, "candidates need shown"),
        ({"target": None}, "q needs the target"),
        ({"terminal": np.ones(3, bool)}, "terminal must have shape"),
        ({"offsets": np.array([0, 1])}, "offsets of the sessions"),
    ],
)
def test_bad_shapes(change, match, make_sessions):
    with pytest.raises(ValueError, match=match):
        replace(make_sessions(), **change)


def test_take_keeps_candidates_with_their_steps(make_sessions):
    batch = replace(make_sessions(), terminal=np.arange(50) % 2 == 0)
    index = np.array([7, 3, 7])
    part = batch.take(index)
    for k, i in enumerate(index):
        a, b = batch.offsets[i], batch.offsets[i + 1]
        c, d = part.offsets[k], part.offsets[k + 1]
        assert np.array_equal(batch.rewards[a:b], part.rewards[c:d], equal_nan=True)
        assert np.array_equal(batch.q[batch.shown[a:b]], part.q[part.shown[c:d]])
        assert batch.terminal[i] == part.terminal[k]
    assert part.predictions[1].shape == (part.offsets[-1], 2)
