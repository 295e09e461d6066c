"""Random tables for `mrlm ope`, valid and broken, in every form that it reads."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.ope._subprocesses import peak_gib
from tests.pipelines.in_process import Done, mrlm

FORMS = ("parquet", "csv", "folder", "dsjson", "npz")
NAMES = ("a", "b", "new", "[/]", "\x1b[2J", "שלום", "a_b", "ε", "x,y", '"q"', "n\nl", "", "z" * 300)
CODES = {0, 2, 10}

Columns = dict[str, Any]


def case(seed: int, folder: Path) -> list[str]:
    """Write a random table and give the command's arguments."""
    g = np.random.default_rng(seed)
    form = FORMS[seed % len(FORMS)]
    path = _WRITERS[form](g, folder)
    if g.random() < 0.1:
        _damage(g, path)
    return [str(path), *_options(g, folder)]


def run(seed: int) -> Done:
    """One case through the program, in this process."""
    folder = Path(tempfile.mkdtemp(prefix="ope-fuzz-"))
    try:
        return mrlm("ope", *case(seed, folder))
    finally:
        shutil.rmtree(folder)


def wrong(done: Done) -> str | None:
    """What a user must never see, if this is it."""
    if done.code not in CODES:
        return f"exit code {done.code}: {done.err[-500:]}"
    if "Traceback" in done.err or "allow_pickle" in done.err:
        return done.err[-500:]
    if done.code == 0 and done.err:
        return f"noise: {done.err[-500:]}"
    if done.code and len(done.err.splitlines()) != 1:
        return f"not one sentence: {done.err[-500:]!r}"
    return None


def _options(g: np.random.Generator, folder: Path) -> list[str]:
    every: list[tuple[float, Callable[[], list[str]]]] = [
        (0.2, lambda: ["--json"]),
        (0.3, lambda: ["--all"]),
        (0.03, lambda: ["--html", str(folder / "page.html")]),
        (0.1, lambda: ["--sorted-by-user"]),
        (0.1, lambda: ["--level", str(g.choice([0.5, 0.8, 0.9, 0.999, 0.0, "nan", "x"]))]),
        (
            0.15,
            lambda: ["--round", str(g.choice(["decision", "decision", "slate", "session", "x"]))],
        ),
        (
            0.05,
            lambda: ["--propensity-kind", str(g.choice(["marginal", "slate", "exposure", "x"]))],
        ),
        (0.05, lambda: ["--discount", str(g.choice([0.9, 0.0, 1.0, 2.0, "nan", 1e-300]))]),
        (
            0.2,
            lambda: [
                "--estimators",
                str(
                    g.choice(
                        [
                            *("ips,dr", "clipped_ips", "ips,clipped_ips,dr_os,switch_dr,dr_ps"),
                            *("sips", "sequential_dr,sn_per_decision_is", "x", ""),
                        ]
                    )
                ),
            ],
        ),
    ]
    return [word for share, make in every if g.random() < share for word in make()]


def _columns(g: np.random.Generator) -> Columns:
    """Columns of a table that is mostly right."""
    n = int(g.choice([0, 1, 2, 5, 40, 300, 1500], p=[0.03, 0.07, 0.05, 0.1, 0.35, 0.3, 0.1]))
    names = NAMES if g.random() < 0.4 else NAMES[:6]
    policies = list(g.choice(names, int(g.integers(1, 4)), replace=False))
    objectives = list(g.choice(names, int(g.integers(1, 3)), replace=False))
    propensity = g.uniform(0.05, 1, n)
    found: Columns = {"propensity": propensity}
    if g.random() < 0.7:
        found["user_id"] = g.integers(0, max(n // 3, 1), n)
    if g.random() < 0.3:
        found["user_id"] = np.array([f"u{i}" for i in g.integers(0, max(n // 3, 1), n)], object)
    for p in policies:
        found[f"target_probability_{p}"] = g.uniform(0, 1, n) * (g.random(n) < 0.7)
    for o in objectives:
        found[f"reward_{o}"] = (g.random(n) < 0.3) * g.choice([1.0, -2.0, 1e3])
    if g.random() < 0.5:
        for o in objectives:
            found[f"q_hat_{o}"] = g.random(n)
            for p in policies:
                found[f"v_hat_{p}_{o}"] = g.random(n)
    kind = g.random()
    length = int(g.integers(1, 5))
    if kind < 0.35 and "user_id" in found:
        found["user_id"] = np.repeat(found["user_id"], length)[:n]
    if kind < 0.2:
        found |= {"request_id": np.arange(n) // length, "slot": np.arange(n) % length}
    elif kind < 0.4:
        found |= {"session_id": np.arange(n) // length, "step": np.arange(n) % length + 1}
    elif kind < 0.45:
        found["slot"] = np.arange(n)
    if g.random() < 0.1:
        found["propensity_kind"] = np.array(["marginal"] * n, object)
        found["inclusion"], found["examination"] = g.random(n), g.random(n)
    if g.random() < 0.1:
        found["other"] = [[1]] * n
    return found


def _spoil(g: np.random.Generator, columns: Columns) -> Columns:
    """The columns with one thing wrong or odd; not every one of them is an error."""
    name = str(g.choice([*columns]))
    values = columns[name]
    n = len(values)
    rows = np.flatnonzero(g.random(n) < g.choice([0.01, 0.5, 1.0]))
    plain = values if isinstance(values, list) else values.tolist()

    def put(value: object) -> list[object]:
        return [value if i in set(rows.tolist()) else x for i, x in enumerate(plain)]

    def cast(kind: pa.DataType, scale: float = 1.0) -> object:
        try:
            return pa.array(np.nan_to_num(np.asarray(plain, float)) * scale).cast(kind, safe=False)
        except (pa.ArrowException, ValueError, TypeError):
            return pa.array([None] * n, kind)

    value = g.choice(
        np.array(
            [np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-320, -1.0, 0.0, 1.0, 2.0, None, 2**62],
            object,
        )
    )
    changes: list[Callable[[], object]] = [
        lambda: put(value),
        lambda: put(value),
        lambda: put(value),
        lambda: pa.array([None] * n),
        lambda: pa.array([str(x) for x in plain]),
        lambda: pa.array([str(x).encode() + b"\xff" for x in plain]),
        lambda: pa.array([[1.0]] * n, pa.list_(pa.float64())),
        lambda: pa.array([{"x": 1}] * n, pa.struct([("x", pa.int64())])),
        lambda: pa.array([Decimal("0.25")] * n, pa.decimal128(6, 3)),
        lambda: pa.array([str(x) for x in plain]).dictionary_encode(),
        lambda: cast(pa.float64()).dictionary_encode(),  # type: ignore[attr-defined]
        lambda: cast(pa.float16()),
        lambda: cast(pa.float32()),
        lambda: cast(pa.uint64(), 1e18),
        lambda: cast(pa.int8(), 100),
        lambda: cast(pa.bool_()),
        lambda: cast(pa.timestamp("us")),
        lambda: cast(pa.date32()),
        lambda: pa.array(["x" * int(g.integers(1, 5000))] * n, pa.large_string()),
        lambda: pa.array([i % 2 == 1 for i in range(n)]),
        lambda: pa.array(sorted(str(x) for x in plain)),
    ]
    if g.random() < 0.15:
        return {k: v for k, v in columns.items() if k != name}
    if g.random() < 0.1:
        return {(str(g.choice(NAMES)) + k if k == name else k): v for k, v in columns.items()}
    with np.errstate(all="ignore"):
        return {**columns, name: changes[int(g.integers(len(changes)))]()}


def _table(g: np.random.Generator) -> pa.Table:
    columns = _columns(g)
    for _ in range(int(g.choice([0, 1, 2, 3], p=[0.45, 0.35, 0.15, 0.05]))):
        columns = _spoil(g, columns) or columns
    names = [*columns]
    arrays = [_array(columns[c]) for c in names]
    if g.random() < 0.03:
        names, arrays = [*names, names[0]], [*arrays, arrays[0]]
    return pa.Table.from_arrays(arrays, names)


def _array(values: object) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return pa.array([None if x is None else str(x) for x in values])  # type: ignore[attr-defined]


def _parquet(g: np.random.Generator, folder: Path) -> Path:
    path = folder / "log.parquet"
    pq.write_table(_table(g), path, row_group_size=int(g.choice([1, 7, 100_000])))
    return path


def _csv(g: np.random.Generator, folder: Path) -> Path:
    path = folder / "log.csv"
    table = _table(g)
    flat = [f for f in range(table.num_columns) if not pa.types.is_nested(table.field(f).type)]
    try:
        pa_csv.write_csv(table.select(flat), path)
    except pa.ArrowException:
        _lines(path, [",".join(c.replace("\n", " ") for c in table.column_names), "1,2,3"])
    text = path.read_bytes()
    if g.random() < 0.2:
        text = [
            b"\xef\xbb\xbf" + text,
            text.replace(b"\n", b"\r\n"),
            text.replace(b",", b";"),
            text.replace(b"0.", b"\xff."),
            text + b'"never closed',
            text.rstrip(b"\n"),
            text[: len(text) // 2],
            text + b"1,2\n",
            b"\n" + text,
            b"",
        ][int(g.integers(10))]
        path.write_bytes(text)
    return path


def _folder(g: np.random.Generator, folder: Path) -> Path:
    path = folder / "log"
    path.mkdir()
    table = _table(g)
    cut = int(g.integers(0, len(table) + 1))
    for k, part in enumerate((table.slice(0, cut), table.slice(cut))):
        if g.random() < 0.05:
            part = _table(g)
        pq.write_table(part, path / f"part-{k}.parquet")
    if g.random() < 0.05:
        (path / "part-2.parquet").write_bytes(g.bytes(int(g.integers(0, 50))))
    if g.random() < 0.05:
        (path / "part-3.parquet").mkdir()
    return path


def _dsjson(g: np.random.Generator, folder: Path) -> Path:
    slots, given = g.random() < 0.3, g.random() < 0.4
    lines = []
    for _ in range(int(g.choice([0, 1, 3, 60, 300]))):
        line = _slots(g) if slots else _decision(g)
        for holder in line.get("_outcomes", [line]) if given else []:
            holder |= {"target_probability_x": float(g.random()), "target_probability_y": 0.5}
        lines.append(line)
    texts = [json.dumps(x) for x in lines]
    spoiled = g.random() < 0.4
    if spoiled and lines:
        at = int(g.integers(len(lines)))
        texts[at] = _spoiled_line(g, lines[at])
    return _lines(folder / f"log.{g.choice(['dsjson', 'jsonl', 'json'])}", texts)


def _decision(g: np.random.Generator) -> dict[str, Any]:
    k = int(g.integers(1, 6))
    order = (g.permutation(k) + 1).tolist()
    p = g.dirichlet(np.ones(k)).tolist()
    return {
        "_label_cost": -float(g.random() < 0.4),
        "_label_probability": p[0],
        "_label_Action": order[0],
        "_labelIndex": order[0] - 1,
        "a": order,
        "p": p,
        "c": {"_multi": [{}] * k},
    }


def _slots(g: np.random.Generator) -> dict[str, Any]:
    k = int(g.integers(2, 5))
    order = g.permutation(k).tolist()
    outcomes = [
        {
            "_label_cost": -float(g.random() < 0.4),
            "_a": order[s:],
            "_p": g.dirichlet(np.ones(k - s)).tolist(),
        }
        for s in range(int(g.integers(1, k + 1)))
    ]
    return {"c": {"_multi": [{}] * k}, "_outcomes": outcomes}


def _spoiled_line(g: np.random.Generator, line: dict[str, Any]) -> str:
    keys = [*line, "p", "_skipLearn", "pdrop", "_outcomes", "q_hat", "target_probability_x"]
    values = [
        None, True, "x", -1, 99, 1.5, [], [1], [[1]], {}, {"_a": 1}, [None], [{}], 10**400,
        float("nan"), float("inf"), [10**30], [1, 1], [0.5, "x"], [-0.1, 2.0], "\ud800",
    ]  # fmt: skip
    value = values[int(g.integers(len(values)))]
    kind = g.random()
    if kind < 0.5:
        return json.dumps({**line, str(g.choice(keys)): value})
    if kind < 0.6 and line.get("_outcomes"):
        outcome = {**line["_outcomes"][0], str(g.choice(["_a", "_p", "_label_cost"])): value}
        return json.dumps({**line, "_outcomes": [outcome, *line["_outcomes"][1:]]})
    text = json.dumps(line)
    odd = ["[" * 20_000, "9" * 5000, "", "null", "[]", '"x"', text[:-3], text + text, "{}", "\x00"]
    return odd[int(g.integers(len(odd)))]


def _npz(g: np.random.Generator, folder: Path) -> Path:
    path = folder / "feedback.npz"
    n, k = int(g.choice([0, 1, 5, 200])), int(g.integers(1, 5))
    wide = (n, k) if g.random() < 0.5 else (n, k, int(g.integers(1, 4)))
    found: Columns = {
        "action": g.integers(0, k, n),
        "reward": (g.random(n) < 0.3).astype(float),
        "pscore": g.uniform(0.1, 1, n),
        "action_dist": g.dirichlet(np.ones(k), n).reshape((n, k, *[1] * (len(wide) - 2)))
        * np.ones(wide),
    }
    if g.random() < 0.4:
        found["estimated_rewards_by_reg_model"] = g.random(wide)
    if len(wide) == 3 or g.random() < 0.2:
        found["position"] = g.integers(0, wide[-1] if len(wide) == 3 else 1, n)
    if g.random() < 0.4:
        name = str(g.choice([*found, "action_dist_b"]))
        old = np.asarray(found.get(name, found["action_dist"]))
        with np.errstate(all="ignore"):
            odd: list[Any] = [
                None, 1.0, old[:-1], old.astype(object), old.astype(str), old * np.nan,
                old * np.inf, old - 5, old * 10**18, old.astype(complex), old.ravel(), old[None],
                old.astype(np.int8), np.array(["2020-01-01"] * n, "M8[D]"),
                old.astype(np.float16), np.zeros((n, 0)), np.array([{"a": 1}] * n, object),
            ]  # fmt: skip
        found[name] = odd[int(g.integers(len(odd)))]
    if g.random() < 0.1:
        del found[str(g.choice([*found]))]
    with np.errstate(all="ignore"):
        np.savez(path, allow_pickle=True, **found)
    if g.random() < 0.05:
        lying_header(path)
    return path


def lying_header(path: Path) -> None:
    """An array whose header promises more than any memory holds."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999, 1000), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(
            "action_dist_big.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )


def _damage(g: np.random.Generator, path: Path) -> None:
    """Change bytes of a file, as a broken disk or transfer does."""
    files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
    if not files:
        return
    file = files[int(g.integers(len(files)))]
    raw = bytearray(file.read_bytes())
    kind = g.random()
    if kind < 0.5 and raw:
        for _ in range(int(g.choice([1, 10]))):
            raw[int(g.integers(len(raw)))] = int(g.integers(256))
    elif kind < 0.8:
        raw = raw[: int(g.integers(len(raw) + 1))]
    else:
        at = int(g.integers(len(raw) + 1))
        raw[at:at] = g.bytes(int(g.integers(1, 200)))
    file.write_bytes(raw)


def _lines(path: Path, lines: list[str]) -> Path:
    path.write_bytes("".join(f"{x}\n" for x in lines).encode("utf-8", "surrogatepass"))
    return path


_WRITERS = {"parquet": _parquet, "csv": _csv, "folder": _folder, "dsjson": _dsjson, "npz": _npz}


def main(first: int, cases: int) -> dict[str, object]:
    """Outcomes of so many seeds."""
    codes: Counter[str] = Counter()
    failed: dict[int, str] = {}
    for seed in range(first, first + cases):
        try:
            done = run(seed)
            problem = wrong(done)
            codes[f"{FORMS[seed % len(FORMS)]} {done.code}"] += 1
        # Whatever escapes the program is what this looks for.
        except BaseException:
            problem = traceback.format_exc()[-1500:]
        if problem:
            failed[seed] = problem
            sys.stderr.write(f"{seed}: {problem}\n")
    return {"cases": cases, "failed": failed, "ends": dict(codes), "peak_gib": round(peak_gib(), 3)}
