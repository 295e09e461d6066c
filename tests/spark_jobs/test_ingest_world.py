from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.ingest import world


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[dict]]]:
    """Table to rows, by form, of a night of 1,500 impressions in three files."""
    folder = tmp_path_factory.mktemp("world")
    patch = pytest.MonkeyPatch()
    patch.setattr(world, "PIECE", 500)
    parquet = world.write(folder / "parquet", 1_500, "parquet")
    lines = world.write(folder / "json", 1_500, "json")
    patch.undo()
    assert len(list(Path(lines["impressions"]).iterdir())) == 3
    return {
        "parquet": {t: pq.read_table(place).to_pylist() for t, place in parquet.items()},
        "json": {
            t: [
                json.loads(line)
                for path in sorted(Path(place).iterdir())
                for line in gzip.open(path, "rt")
            ]
            for t, place in lines.items()
        },
    }


def test_both_forms_hold_the_same_rows(tables: dict[str, dict[str, list[dict]]]) -> None:
    for table, rows in tables["parquet"].items():
        written = tables["json"][table]
        assert len(rows) == len(written)
        for row, line in zip(rows, written, strict=True):
            there = {k: v for k, v in row.items() if v is not None}
            assert there.keys() == line.keys()
            assert all(v == there[k] for k, v in line.items() if k != "ts")


def test_what_is_wrong_is_there_in_known_numbers(tables: dict[str, dict[str, list[dict]]]) -> None:
    shown = tables["parquet"]["impressions"]
    keys = Counter((r["request_id"], r["position"]) for r in shown if r["request_id"])
    assert sum(n - 1 for n in keys.values()) == 15
    assert sum(r["user_id"] is None for r in shown) == 2
    assert sum(r["candidates"] is None for r in shown) == 2
    known = {r["item_id"] for r in tables["parquet"]["items"]}
    lists = [r["candidates"] for r in shown if r["candidates"]]
    assert all(len(c) == world.CANDIDATES for c in lists)
    assert sum(not known.issuperset(c) for c in lists) == 2
    share = len({e["event_id"] for e in tables["parquet"]["feedback"]}) / 1_500
    assert 0.25 < share < 0.35
