from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mrlm.ope.grouped import grouped


@pytest.mark.parametrize("names", [True, False])
def test_rows_of_a_table_are_put_into_rounds(names):
    rounds = np.array([7, 3, 7, 3, 9])
    if names:
        rounds = np.array([f"r{r}" for r in rounds], object)
    place = np.array([2, 1, 1, 5, 1])
    order, offsets = grouped.group_rows(rounds, place)
    assert order.tolist() == [1, 3, 2, 0, 4]
    assert offsets.tolist() == [0, 2, 4, 5]
    place[2] = 2
    with pytest.raises(ValueError, match="row 2: its place"):
        grouped.group_rows(rounds, place)


def test_expectations_do_not_depend_on_the_piece(monkeypatch):
    g = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(g.integers(1, 9, 200))])
    probability, values = g.random(offsets[-1]), g.normal(size=(offsets[-1], 3))
    whole = grouped.expectation(probability, values, offsets)
    exact = [probability[a:b] @ values[a:b] for a, b in pairwise(offsets)]
    assert whole == pytest.approx(np.array(exact), abs=1e-13)
    monkeypatch.setattr(grouped, "CANDIDATES_AT_ONCE", 20)
    assert grouped.expectation(probability, values, offsets) == pytest.approx(whole, abs=1e-13)
