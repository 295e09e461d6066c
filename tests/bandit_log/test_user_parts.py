from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log.stored import user_parts
from mrlm.bandit_log.stored.user_parts import parts_for, parts_of_users

ROWS = 40_000


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    rng = np.random.default_rng(0)
    user = np.array([f"u{i}" for i in range(300)] + [None])[rng.integers(0, 301, ROWS)]
    lists = pa.ListArray.from_arrays(
        np.arange(0, 2 * ROWS + 1, 2, dtype=np.int32), np.arange(2 * ROWS)
    )
    return pa.table({"user": pa.array(user.tolist()), "number": np.arange(ROWS), "list": lists})


def test_each_row_is_in_the_part_of_its_user_in_the_order_of_the_files(
    rows: pa.Table, tmp_path: Path
) -> None:
    place = tmp_path / "first"
    place.mkdir()
    for file in (0, 1):
        half = rows.slice(file * ROWS // 2, ROWS // 2)
        pq.write_table(half, place / f"{file}.parquet", row_group_size=7000)
    pq.write_table(rows.slice(0, 900), tmp_path / "later.parquet")
    tables = {"first": (place, ["user", "list"]), "later": (tmp_path / "later.parquet", None)}
    found, users = list[int](), list[set[str]]()
    for part in parts_of_users(tables, 5):
        first, second = (pads.dataset(part / n, partitioning=None).to_table() for n in tables)
        assert first.column_names == ["user", "list"]
        assert second.column_names == rows.column_names
        users.append(set(first["user"].to_pylist()))
        assert set(second["user"].to_pylist()) <= users[-1]
        numbers = (first["list"].combine_chunks().flatten().to_numpy()[::2] // 2).tolist()
        assert numbers == sorted(numbers)
        own = pc.is_in(rows["user"], value_set=pa.array(list(users[-1])))
        assert rows.filter(own)["number"].to_pylist() == numbers
        found += numbers
    assert sorted(found) == list(range(ROWS))
    assert sum(map(len, users)) == len(set.union(*users)) == 301
    assert not part.exists()


def test_a_part_without_users_is_left_out(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": ["a", "a", "b"]}), tmp_path / "few.parquet")
    parts = [
        pads.dataset(p / "few", partitioning=None).count_rows()
        for p in parts_of_users({"few": (tmp_path / "few.parquet", None)}, 50)
    ]
    assert sorted(parts) == [1, 2]


def test_rows_that_wait_to_be_written_grow_not_with_the_parts(
    rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two hundred parts no row is written before the end where each keeps as many as it may."""
    pq.write_table(rows, tmp_path / "rows.parquet")
    monkeypatch.setattr(user_parts, "_KEPT_ROWS", 200 * 20)
    for part in parts_of_users({"rows": (tmp_path / "rows.parquet", None)}, 200):
        (file,) = (part / "rows").iterdir()
        written = pq.ParquetFile(file).metadata
        # A batch brings 16,384 rows, and so some eighty to each part.
        assert written.num_row_groups >= 2


def test_parts_have_about_as_many_rows_as_are_asked_for() -> None:
    assert [parts_for(10, most) for most in (None, 20, 10, 9, 3)] == [1, 1, 1, 2, 4]
    assert parts_for(0, 5) == 1
