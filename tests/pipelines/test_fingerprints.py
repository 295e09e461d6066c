from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from pipelines.contract import fingerprints, side_by_side
from pipelines.contract.row_sums import RowSum
from pipelines.failures.errors import DamagedError

MAP = pa.map_(pa.string(), pa.float64())


def table(order: list[int]) -> pa.Table:
    full = pa.table(
        {
            "id": ["a", "b", "c", None],
            "x": [1.0, None, 3.0, 4.0],
            "items": [["p", "q"], [], None, ["r"]],
            "m": pa.array([[("k", 1.0)], [], None, [("k", 2.0)]], MAP),
            "flag": [True, None, False, True],
            "ts": pa.array([1, 2, 3, 4], pa.timestamp("us", "UTC")),
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


@pytest.mark.parametrize("how", [{"dictionary_pagesize_limit": 64}, {"use_dictionary": False}])
def test_lists_are_the_same_content_however_their_texts_are_numbered(
    tmp_path: Path, how: dict[str, Any]
) -> None:
    lists = [[f"item-{i % 97}", None, "é"] if i % 5 else None for i in range(400)]
    rows = pa.table({"candidates": pa.array(lists, pa.list_(pa.string())), "at": range(400)})
    for name, options in (("one", {}), ("two", how), ("cut", {"row_group_size": 7, **how})):
        (tmp_path / name).mkdir()
        pq.write_table(rows, tmp_path / name / "part-0.parquet", **options)
    found = {fingerprints.of_path(tmp_path / name) for name in ("one", "two", "cut")}
    assert found == {fingerprints.of_path(tmp_path / "one")}
    assert fingerprints.of_raw(str(tmp_path / "cut")) == fingerprints.of_raw(str(tmp_path / "one"))


def test_large_files_are_summed_by_processes_to_the_same_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        pq.write_table(table([i, 3]), tmp_path / f"part-{i}.parquet")
    (tmp_path / "other").mkdir()
    pq.write_table(table([0]), tmp_path / "other" / "one.parquet")
    paths = [tmp_path, tmp_path / "other", tmp_path / "other" / "one.parquet"]
    alone = [fingerprints.of_path(path) for path in paths]
    assert len(set(alone)) == 3
    monkeypatch.setattr(side_by_side, "LARGE_BYTES", 0)
    # Without it the files would be read here, and a sum of processes be tested by itself.
    monkeypatch.delattr(RowSum, "add_rows")
    assert fingerprints.of_paths(paths) == alone


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("id", ["a", "b", "c", "d"]),
        ("x", [1.0, 0.0, 3.0, 4.0]),
        ("items", [["p", "q"], [], [], ["r"]]),
        ("items", [["p"], ["q"], None, ["r"]]),
        ("items", [["pq"], [], None, ["r"]]),
        ("items", [["p", None], [], None, ["r"]]),
        ("m", [[("k", 1.0)], [("k", None)], None, [("k", 2.0)]]),
        ("flag", [True, None, False, False]),
        ("ts", [1, 2, 3, None]),
    ],
)
def test_any_changed_value_is_another_content(column: str, values: list[object]) -> None:
    base = table([0, 1, 2, 3])
    at = base.schema.get_field_index(column)
    changed = base.set_column(at, column, pa.array(values, base.schema.field(column).type))
    assert fingerprints.of_table(base) != fingerprints.of_table(changed)


def test_what_lies_under_a_null_and_how_rows_are_cut_is_no_content() -> None:
    plain = pa.table({"s": pa.array(["a", None, "c"]), "l": pa.array([["x"], None, []])})
    offsets = pa.array([0, 1, 2, 2], pa.int32())
    hidden = pa.ListArray.from_arrays(
        offsets, pa.array(["x", "y"]), mask=pa.array([False, True, False])
    )
    covered = pc.if_else(pa.array([True, False, True]), pa.array(["a", "b", "c"]), None)
    other = pa.table({"l": hidden, "s": covered})
    assert fingerprints.of_table(plain) == fingerprints.of_table(other)
    cut = pa.concat_tables([plain.slice(2, 1), plain.slice(0, 2)])
    assert fingerprints.of_table(plain) == fingerprints.of_table(cut)


def test_a_row_that_is_there_twice_counts_twice() -> None:
    rows = [fingerprints.of_table(table(order)) for order in ([0], [0, 0], [0, 0, 0], [1, 1, 0])]
    assert len(set(rows)) == 4


def test_values_do_not_flow_into_each_other() -> None:
    """Random small tables of texts and lists: equal fingerprints only for equal rows."""
    rng = np.random.default_rng(5)
    found: dict[str, str] = {}
    for _ in range(400):
        texts = ["".join(rng.choice(["a", "b"], size=rng.integers(3))) for _ in range(3)]
        lists = [texts[: rng.integers(3)], texts[rng.integers(3) :]]
        made = {"x": [texts[0]], "y": [texts[1] or None], "l": [lists[0]], "m": [lists[1]]}
        rows = pa.table(
            made,
            pa.schema({"x": "string", "y": "string"} | dict.fromkeys("lm", pa.list_(pa.string()))),
        )
        said = found.setdefault(fingerprints.of_table(rows), json.dumps(made))
        assert said == json.dumps(made)
    assert len(found) > 100


def test_raw_tables_are_the_same_however_they_are_split(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    pq.write_table(table([0, 1, 2, 3]), one / "a.parquet")
    pq.write_table(table([2]), two / "b.parquet", compression="zstd")
    pq.write_table(table([3, 1, 0]), two / "c.parquet", row_group_size=2)
    assert fingerprints.of_raw(str(one)) == fingerprints.of_raw(str(two))


def test_lines_are_the_same_in_any_compression_and_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"".join(b"line %d\r\n" % i for i in range(50)) + b"\nlast"
    (tmp_path / "plain.jsonl").write_bytes(text)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(text.replace(b"\r\n", b"\n")))
    whole = fingerprints.of_raw(str(tmp_path / "plain.jsonl"))
    assert fingerprints.of_raw(str(tmp_path / "packed.jsonl.gz")) == whole
    monkeypatch.setattr(fingerprints, "_CHUNK_BYTES", 7)
    assert fingerprints.of_raw(str(tmp_path / "plain.jsonl")) == whole
    cut = gzip.compress(text)[:-20]
    (tmp_path / "packed.jsonl.gz").write_bytes(cut)
    with pytest.raises(DamagedError, match=r"packed\.jsonl\.gz cannot be read to its end"):
        fingerprints.of_raw(str(tmp_path / "packed.jsonl.gz"))


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
