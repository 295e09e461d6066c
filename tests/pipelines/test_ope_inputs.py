"""What `mrlm ope` does with files that are too large, too odd or broken."""

from __future__ import annotations

import json
import os
import pickle
import socket
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipelines import ope_fuzz
from tests.pipelines.in_process import in_a_process, mrlm, outcomes

MEMORY_GIB = 2.0
SPARSE_BYTES = 6 << 30


def table(n: int = 300, **changed: object) -> pa.Table:
    g = np.random.default_rng(0)
    columns: dict[str, object] = {
        "user_id": g.integers(0, 100, n),
        "propensity": np.full(n, 0.5),
        "target_probability": g.uniform(0, 1, n),
        "reward": (g.random(n) < 0.5).astype(float),
    }
    return pa.table({**columns, **changed})


def written(path: Path, rows: pa.Table) -> Path:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(rows, path)
    return path


def refused(path: Path, *options: str) -> str:
    """The one sentence of a refusal."""
    done = mrlm("ope", str(path), *options)
    assert done.code == 10, done
    (line,) = done.err.splitlines()
    assert done.out == ""
    return line


def sparse(path: Path, start: bytes = b"") -> Path:
    """A file that says it is huge: its beginning, then zeros that take no room on the disk."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(SPARSE_BYTES)
    return path


def test_special_files_and_endless_lines_are_refused_in_little_memory(tmp_path: Path) -> None:
    header = b"user_id,propensity,target_probability,reward\n1,0.5,0.5,1\n"
    os.mkfifo(tmp_path / "pipe.csv")
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket.npz"))
    written(tmp_path / "folder" / "a.parquet", table())
    os.mkfifo(tmp_path / "folder" / "b.parquet")
    written(tmp_path / "other" / "a.parquet", table())
    (tmp_path / "other" / "b.parquet").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "named.csv").mkdir()
    expected = {
        "pipe.csv": "not a regular file",
        "pipe.parquet": "not a regular file",
        "zero.jsonl": "not a regular file",
        "socket.npz": "not a regular file",
        "folder": "b.parquet: not a regular file",
        "empty": "no .parquet file in this folder",
        "named.csv": "no .parquet file in this folder",
        "header.csv": "line 1 is longer than 1 MiB",
        "rows.csv": "no row may be longer than 16 MiB",
        "line.dsjson": "line 1 is longer than 8 MiB",
        "sparse.parquet": "not a whole Parquet file",
        "sparse.npz": "not a numpy.savez archive",
    }
    sparse(tmp_path / "header.csv")
    sparse(tmp_path / "rows.csv", header)
    sparse(tmp_path / "line.dsjson")
    sparse(tmp_path / "sparse.parquet", b"PAR1")
    sparse(tmp_path / "sparse.npz", b"PK\x03\x04")
    commands = [["ope", str(tmp_path / name)] for name in [*expected, "other"]]
    found = in_a_process(outcomes, commands, seconds=300)
    for (name, says), (code, err) in zip(expected.items(), found["ends"], strict=False):
        assert code == 10, (name, err)
        assert says in err, (name, err)
        assert len(err.splitlines()) == 1
    # A folder in the folder that has the ending of a file is no file.
    assert found["ends"][-1][0] == 0
    assert found["peak_gib"] <= MEMORY_GIB
    listening.close()


def test_policies_times_objectives_are_bounded(tmp_path: Path) -> None:
    def wide(policies: int, objectives: int, n: int = 3, more: int = 0) -> pa.Table:
        columns = {"user_id": np.arange(n), "propensity": np.full(n, 0.5)}
        columns |= {f"target_probability_{k}": np.full(n, 0.5) for k in range(policies)}
        columns |= {f"reward_{k}": np.full(n, 1.0) for k in range(objectives)}
        return pa.table(columns | {f"more_{k}": np.zeros(n) for k in range(more)})

    long = pa.array(np.zeros(500, np.int32))
    long = pa.DictionaryArray.from_arrays(long, pa.array(["x" * 1_000_000]))
    cases = {
        "both": (wide(1000, 100), "1000 columns target_probability_* and 100 columns reward_*"),
        "policies": (wide(300, 2), "300 policies with their pairs, 2 objectives"),
        "users": (wide(8, 5, 25_000), "--sorted-by-user"),
        "objectives": (wide(1, 500, 1_000), None),
        "other": (wide(1, 1, more=5_000), None),
        # Half a gigabyte of names, which take a megabyte in the file.
        "names": (wide(1, 1, 500).set_column(0, "user_id", long), "user_id has a value of 1000000"),
    }
    paths = [written(tmp_path / f"{name}.parquet", rows) for name, (rows, _) in cases.items()]
    found = in_a_process(outcomes, [["ope", str(p)] for p in paths], seconds=300)
    for (name, (_, says)), (code, err) in zip(cases.items(), found["ends"], strict=True):
        assert code == (0 if says is None else 10), (name, err)
        assert (says or "") in err, (name, err)
    assert found["peak_gib"] <= MEMORY_GIB


def test_a_message_names_no_thousand_columns(tmp_path: Path) -> None:
    names = {f"column_{k}_{'x' * 500}": [1.0] for k in range(2000)}
    assert len(refused(written(tmp_path / "log.parquet", pa.table(names)))) < 1500


@pytest.mark.parametrize("name", ["feedback.npz", "log.pickle"])
def test_no_hint_to_load_a_pickle(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"action": [1]}))
    assert "allow_pickle" not in refused(path)
    np.savez(tmp_path / "objects.npz", action=np.array([{}, None], object), allow_pickle=True)
    said = refused(tmp_path / "objects.npz")
    assert "allow_pickle" not in said
    assert "objects.npz: action holds objects" in said
    np.save(tmp_path / "alone.npy", np.array([None], object), allow_pickle=True)
    (tmp_path / "alone.npy").rename(tmp_path / "alone.npz")
    assert "allow_pickle" not in refused(tmp_path / "alone.npz")


def test_an_archive_that_promises_too_much_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "feedback.npz"
    one = np.ones(3)
    np.savez(path, action=one, reward=one, pscore=one)
    ope_fuzz.lying_header(path)
    assert "its arrays take more than 1 GiB" in refused(path)


LINE = {
    "_label_cost": -1.0,
    "_label_probability": 0.5,
    "_label_Action": 2,
    "_labelIndex": 1,
    "a": [2, 1, 3],
    "p": [0.5, 0.25, 0.25],
}
SLOT = {"_label_cost": -1.0, "_a": [1, 0, 2], "_p": [0.5, 0.25, 0.25]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"p": [0.5, 0.5]}, "line 2: p must be a list as long as a, 3 actions"),
        ({"p": 0.5}, "line 2: p must be a list as long as a"),
        ({"p": [0.5, 0.25, "x"]}, "p must hold probabilities, 0 to 1; one is 'x'"),
        ({"p": [0.5, 0.25, 2]}, "p must hold probabilities, 0 to 1; one is 2"),
        ({"_labelIndex": 3}, "_labelIndex must be one of the 3 actions, 0 to 2; got 3"),
        ({"_labelIndex": -1}, "_labelIndex must be one of the 3 actions, 0 to 2; got -1"),
        ({"_labelIndex": "1"}, "_labelIndex must be one of the 3 actions"),
        ({"_label_Action": 0}, "_label_Action must be one of the 3 actions, 1 to 3; got 0"),
        ({"_labelIndex": 0}, "are not the same action"),
        ({"a": [2, 2, 3]}, "a must hold different numbers of actions, from 1 on"),
        ({"a": [2, 1, 9]}, "a names action 9, and there are 3 actions"),
        ({"a": []}, "has no list of actions"),
        ({"_label_cost": 10**400}, "_label_cost is too large a number"),
    ],
)
def test_lengths_and_labels_of_a_decision_line(tmp_path: Path, change: dict, says: str) -> None:
    path = tmp_path / "log.dsjson"
    path.write_text(json.dumps(LINE) + "\n" + json.dumps({**LINE, **change}) + "\n")
    assert says in refused(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"_a": [1, 0, 7]}, "slot 0: _a names action 7, and there are 3 actions, from 0 on"),
        ({"_a": [1, 1, 2]}, "slot 0: _a must hold different numbers of actions"),
        ({"_a": [1, 0]}, "slot 0: _a and _p must be lists of one length"),
        ({"_p": [0.5, 0.25, -1]}, "slot 0: _p must hold probabilities"),
    ],
)
def test_lengths_of_a_line_with_slots(tmp_path: Path, change: dict, says: str) -> None:
    path = tmp_path / "log.dsjson"
    line = {"c": {"_multi": [{}] * 3}, "_outcomes": [{**SLOT, **change}]}
    path.write_text(json.dumps(line) + "\n")
    assert says in refused(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[" * 200_000, "line 1 is nested too deep"),
        (b'{"_label_cost": ' + b"9" * 5000 + b"}", "line 1 is not JSON"),
        (b'{"x": "\xff"}', "line 1 is not UTF-8"),
        (b"", "no line has a decision"),
    ],
)
def test_odd_lines(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(text + b"\n")
    assert says in refused(path)


def test_numbers_of_any_type_are_numbers(tmp_path: Path) -> None:
    """Decimals, codes, small floats and integers beyond 2^53, each alone."""
    plain = mrlm("ope", str(written(tmp_path / "plain.parquet", table())), "--json")
    half = np.full(300, 0.5)
    reward = table()["reward"].to_numpy()
    same = {
        "propensity": pa.array([Decimal("0.500")] * 300, pa.decimal128(6, 3)),
        "reward": pa.array(reward).dictionary_encode(),
    }
    for name, values in [*same.items(), ("propensity", pa.array(half).cast(pa.float16()))]:
        path = written(tmp_path / "log.parquet", table(**{name: values}))
        assert mrlm("ope", str(path), "--json").out == plain.out
    large = pa.array((reward * (2**63 + 12345)).astype(np.uint64))
    assert mrlm("ope", str(written(tmp_path / "log.parquet", table(reward=large)))).code == 0


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"propensity": pa.array([[0.5]] * 300)}, "column propensity must hold one value a row"),
        ({"user_id": pa.array([{"x": 1}] * 300)}, "column user_id must hold one value a row"),
        ({"user_id": pa.array([b"\xff"] * 300)}, "column user_id must be integers or text"),
        (
            {
                "user_id": pa.array([None, *["u"] * 299]),
            },
            "row 0: user_id is missing",
        ),
        ({"reward": pa.array([np.inf, *[1.0] * 299])}, "row 0: the reward reward is infinite"),
        ({"propensity": pa.array([-0.5] * 300)}, "row 0: the propensity must be in (0, 1]"),
    ],
)
def test_odd_columns_are_named(tmp_path: Path, changed: dict, says: str) -> None:
    assert says in refused(written(tmp_path / "log.parquet", table(**changed)))


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "log.parquet", table())
    for page in (tmp_path, tmp_path / "nowhere" / "page.html"):
        said = mrlm("ope", str(path), "--html", str(page))
        assert said.code == 10
        assert "the page cannot be written" in said.err


def test_a_sample_of_random_tables_ends_in_a_result_or_a_sentence() -> None:
    problems = {seed: ope_fuzz.wrong(ope_fuzz.run(seed)) for seed in range(150)}
    assert {seed: p for seed, p in problems.items() if p} == {}


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_ten_thousand_random_tables() -> None:
    """Each form 2,000 times, about a third of them whole: no traceback, at most 2 GiB."""
    found = in_a_process(ope_fuzz.main, 0, 10_000)
    print(json.dumps(found))
    assert found["failed"] == {}
    assert found["peak_gib"] <= MEMORY_GIB
    assert sum(n for end, n in found["ends"].items() if end.endswith(" 0")) > 2_500
