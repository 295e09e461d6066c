from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from mrlm.ope.table.rounds import whole_rounds as module
from mrlm.ope.table.rounds.numbered import numbered
from mrlm.ope.table.rounds.whole_rounds import ClosedIds, whole_rounds


def parts(ids, sizes):
    table = pa.table({"request_id": ids, "value": np.arange(len(ids))}).combine_chunks()
    starts = np.concatenate([[0], np.cumsum(sizes)])
    assert starts[-1] == len(ids)
    return numbered(
        table.slice(int(a), int(b - a)).combine_chunks().to_batches()[0]
        for a, b in pairwise(starts)
    )


def cut(rng, total):
    sizes = []
    while sum(sizes) < total:
        sizes.append(min(int(rng.integers(1, 9)), total - sum(sizes)))
    return sizes


@pytest.mark.parametrize("gathered", [10, 10_000])
@pytest.mark.parametrize("seed", range(5))
def test_rounds_are_whole_and_in_the_order_of_the_file(monkeypatch, seed, gathered):
    monkeypatch.setattr(module, "GATHERED_ROWS", gathered)
    g = np.random.default_rng(seed)
    names = g.permutation(40)
    ids = np.repeat([f"r{i}" for i in names], g.integers(1, 20, 40))
    found = [*whole_rounds(parts(ids, cut(g, len(ids))), "request_id")]
    rows = np.concatenate([rows for rows, _ in found])
    assert np.array_equal(rows, np.arange(len(ids)))
    seen: set[str] = set()
    for at, batch in found:
        assert np.array_equal(batch["value"].to_numpy(), at)
        mine = set(batch["request_id"].to_pylist())
        assert not mine & seen
        seen |= mine


def test_scattered_rows_are_put_together_with_their_numbers():
    ids = np.random.default_rng(0).integers(0, 30, 200)
    found = [*whole_rounds(parts(ids, cut(np.random.default_rng(1), 200)), "request_id")]
    table = pa.Table.from_batches([batch for _, batch in found])
    rows = np.concatenate([rows for rows, _ in found])
    assert np.array_equal(table["value"].to_numpy(), rows)
    assert np.array_equal(table["request_id"].to_numpy(), np.sort(ids))


def test_what_is_wrong_beyond_the_gathered_rows_is_found(monkeypatch):
    monkeypatch.setattr(module, "GATHERED_ROWS", 10)
    ids = [*np.repeat([f"r{i}" for i in range(20)], 3), "r4"]
    with pytest.raises(ValueError, match="row 60: request_id 'r4' comes again"):
        [*whole_rounds(parts(ids, [7] * 8 + [5]), "request_id")]
    ids[50] = None
    with pytest.raises(ValueError, match="row 50: request_id is missing"):
        [*whole_rounds(parts(ids, [7] * 8 + [5]), "request_id")]


def test_closed_ids_are_a_set():
    g = np.random.default_rng(0)
    closed, known = ClosedIds(), set()
    for size in g.integers(0, 40, 60):
        keys = g.integers(0, 3000, size).astype(np.uint64)
        expected, earlier = [], set()
        for key in keys.tolist():
            expected.append(key in known or key in earlier)
            earlier.add(key)
        found = closed.seen(keys)
        assert found.tolist() == expected
        closed.add(keys[~found])
        known |= earlier
