from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrlm.bandit_log.ragged import (
    Ragged,
    gather,
    segment_log_softmax,
    segment_max,
    segment_sum,
)

LISTS = st.lists(st.lists(st.floats(-50, 50), max_size=5), min_size=1, max_size=8)


@given(LISTS)
def test_sums_and_maxima_are_those_of_each_row(rows: list[list[float]]) -> None:
    ragged = Ragged.from_rows(rows, float)
    assert segment_sum(ragged.values, ragged.offsets) == pytest.approx([sum(r) for r in rows])
    expected = [max(r) if r else -np.inf for r in rows]
    assert segment_max(ragged.values, ragged.offsets).tolist() == expected
    wide = np.stack([ragged.values, 2 * ragged.values], axis=1)
    assert segment_sum(wide, ragged.offsets)[:, 1] == pytest.approx([2 * sum(r) for r in rows])


@given(LISTS, st.floats(-1000, 1000))
def test_softmax_sums_to_one_and_ignores_a_shift(rows: list[list[float]], shift: float) -> None:
    rows = [r or [0.0] for r in rows]
    ragged = Ragged.from_rows(rows, float)
    log_p = segment_log_softmax(ragged.values, ragged.offsets)
    assert segment_sum(np.exp(log_p), ragged.offsets) == pytest.approx(np.ones(len(rows)))
    shifted = segment_log_softmax(ragged.values + shift, ragged.offsets)
    assert shifted == pytest.approx(log_p, abs=1e-9)


@given(LISTS, st.data())
def test_take_gives_the_rows_asked_for(rows: list[list[float]], data: st.DataObject) -> None:
    ragged = Ragged.from_rows(rows, float)
    places = st.lists(st.integers(0, len(rows) - 1), max_size=6)
    index = np.array(data.draw(places), np.int64)
    taken = ragged.take(index)
    assert [list(taken[i]) for i in range(len(taken))] == [rows[i] for i in index]
    flat, offsets = gather(ragged.offsets, index)
    assert len(flat) == offsets[-1]


def test_concat_keeps_every_row() -> None:
    a, b = Ragged.from_rows([[1], []], int), Ragged.from_rows([[2, 3]], int)
    both = Ragged.concat([a, b])
    assert [list(both[i]) for i in range(3)] == [[1], [], [2, 3]]


def test_offsets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="offsets must run"):
        Ragged(np.array([0, 3]), np.zeros(2))
