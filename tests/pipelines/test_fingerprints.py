from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from pipelines.contract import fingerprints

MAP = pa.map_(pa.string(), pa.float64())


def table(order: list[int]) -> pa.Table:
    full = pa.table(
        {
            "id": ["a", "b", "c", None],
            "x": [1.0, None, 3.0, 4.0],
            "items": [["p", "q"], [], None, ["r"]],
            "m": pa.array([[("k", 1.0)], [], None, [("k", 2.0)]], MAP),
        }
    )
    return full.take(order)


def test_rows_in_any_order_and_any_files_are_the_same_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    pq.write_table(table([0, 1, 2, 3]), one / "part-0.parquet")
    pq.write_table(table([3, 1]), two / "part-x.parquet", compression="gzip")
    pq.write_table(table([2, 0]), two / "part-y.parquet")
    assert fingerprints.of_path(one) == fingerprints.of_path(two)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("id", ["a", "b", "c", "d"]),
        ("x", [1.0, 0.0, 3.0, 4.0]),
        ("items", [["p", "q"], [], [], ["r"]]),
        ("items", [["p"], ["q"], None, ["r"]]),
    ],
)
def test_any_changed_value_is_another_content(column: str, values: list[object]) -> None:
    base = table([0, 1, 2, 3])
    at = base.schema.get_field_index(column)
    changed = base.set_column(at, column, pa.array(values, base.schema.field(column).type))
    assert fingerprints.of_table(base) != fingerprints.of_table(changed)


def test_json_is_canonical_and_safetensors_are_arrays(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(json.dumps({"x": 1, "y": [1, 2]}))
    b.write_text(json.dumps({"y": [1, 2], "x": 1}, indent=3))
    assert fingerprints.of_path(a) == fingerprints.of_path(b)
    save_file({"w": np.arange(3.0), "v": np.ones(2)}, tmp_path / "a.safetensors")
    save_file({"v": np.ones(2), "w": np.arange(3.0)}, tmp_path / "b.safetensors")
    save_file({"v": np.ones(2), "w": np.arange(3.0) + 1}, tmp_path / "c.safetensors")
    prints = [fingerprints.of_path(tmp_path / f"{n}.safetensors") for n in "abc"]
    assert prints[0] == prints[1] != prints[2]


def test_raw_lines_count_and_order_does_not(tmp_path: Path) -> None:
    one, two, three = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    for folder in (one, two, three):
        folder.mkdir()
    (one / "part-0.jsonl").write_text("a\nb\nb\n")
    (two / "x.jsonl").write_text("b\n")
    (two / "y.jsonl").write_text("b\na\n")
    (three / "part-0.jsonl").write_text("a\nb\n")
    prints = [fingerprints.of_raw(str(f)) for f in (one, two, three)]
    assert prints[0] == prints[1] != prints[2]


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not there"):
        fingerprints.of_raw(str(tmp_path / "nothing"))
