"""Whatever the lines look like, every row is counted once, and only their content decides."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.contract.fingerprints import of_path
from spark_jobs import ingest

pytestmark = pytest.mark.spark
NIGHT = "2026-11-10"
TABLES = ("impressions", "feedback", "items")
_VALUES: tuple[Any, ...] = (
    None,
    "",
    " ",
    "a",
    "zz",
    -1,
    0,
    1,
    2.5,
    1e300,
    True,
    [],
    {},
    ["a"],
    "é",
)
_CHARACTERS = '{}[]",:\\ aé0'


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MRLM_USER_KEY", "a key for the tests")


def mangled(row: dict[str, Any], rng: random.Random) -> str:
    """A row's line, which is as it should be in one case of three."""
    kind = rng.randrange(6)
    row = dict(row)
    if kind == 1:
        row[rng.choice(sorted(row))] = rng.choice(_VALUES)
    elif kind == 2:
        del row[rng.choice(sorted(row))]
    line = json.dumps(row, ensure_ascii=rng.random() < 0.5)
    if kind == 3:
        at = rng.randrange(len(line) + 1)
        line = line[:at] + rng.choice(_CHARACTERS) + line[at + rng.randrange(2) :]
    elif kind == 4:
        line = rng.choice([line[: rng.randrange(len(line))], line + line, " ", line + ", {}"])
    return line


def lines_of(n: int, rng: random.Random, impression: Any, event: Any, items: Any) -> dict[str, Any]:
    """Lines of each table; some requests, events and items come more than once."""
    hour = lambda: f"2026-11-{rng.choice(['10', '09', '05'])}T0{rng.randrange(10)}:00:00Z"  # noqa: E731

    def shown() -> dict[str, Any]:
        # So many that none of them makes as many requests as a bot.
        user = f"u{rng.randrange(n // 15)}"
        named = {"policy_id": rng.choice(["p", "q"]), "user_id": user}
        return impression(f"r{rng.randrange(n // 2)}", rng.randrange(1, 3), ts=hour(), **named)

    def fed() -> dict[str, Any]:
        changes = {"value": rng.randrange(3), "event": rng.choice(["click", "buy"])}
        return event(f"e{rng.randrange(n)}", f"r{rng.randrange(n // 2)}", ts=hour(), **changes)

    def item() -> dict[str, Any]:
        return items(rng.choice("abcdef"), text=rng.choice(["one", "two"]), updated_at=hour())[0]

    made = {"impressions": shown, "feedback": fed, "items": item}
    lines = {t: [mangled(make(), rng) for _ in range(n)] for t, make in made.items()}
    lines["items"] += [json.dumps(i) for i in items("a", "b")]
    return lines


def check(counts: dict[str, Any], lines: dict[str, list[str]], out: Path) -> None:
    quarantine = pq.read_table(out / "quarantine", partitioning=None).to_pylist()
    for table in TABLES:
        c = counts[table]
        rows = [x for x in lines[table] if x.strip(" ")]
        assert c["raw"] == len(rows)
        bad = sum(c["quarantined"].values())
        assert c["raw"] == c["clean"] + c["duplicate"] + c["late"] + bad
        texts = Counter(q["raw"] for q in quarantine if q["table"] == table)
        assert texts.total() == bad
        assert texts <= Counter(rows), "each as it stands in the files"
        assert c["clean"] == pq.read_table(out / table, partitioning=None).num_rows
        if c["late"]:
            assert c["late"] == pq.read_table(out / "late" / table, partitioning=None).num_rows


def content(out: Path) -> dict[str, str]:
    return {
        p.name: of_path(p) for p in sorted(out.iterdir()) if p.is_dir() and p.name != "quarantine"
    }


def rows_of_lines(quarantine: Path) -> list[tuple[str, ...]]:
    """Table, reason, file, line and text of each quarantined row, in one order."""
    rows = pq.read_table(quarantine, partitioning=None).to_pylist()
    names = ("table", "reason", "file", "line", "raw")
    return sorted(tuple(str(row[n]) for n in names) for row in rows)


def scattered(folder: Path, lines: list[str], rng: random.Random) -> None:
    """The lines in another order, in three files of other names, one of them packed."""
    for path in folder.iterdir():
        path.unlink()
    shuffled = rng.sample(lines, len(lines))
    for i in range(3):
        text = "\n".join(shuffled[i::3]).encode()
        name = f"{'zab'[i]}.jsonl"
        (folder / (f"{name}.gz" if i == 1 else name)).write_bytes(
            gzip.compress(text) if i == 1 else text
        )


def _any_lines(
    n: int, seed: int, spark: Any, logs: Any, make: tuple[Callable[..., Any], ...]
) -> None:
    rng = random.Random(seed)
    lines = lines_of(n, rng, *make)
    logs.write(NIGHT, **lines)
    job = logs.job(NIGHT, late_nights=1)
    counts = ingest.run(spark, job)
    check(counts, lines, Path(job.out))
    assert counts["impressions"]["duplicate"] > 0
    assert counts["feedback"]["late"] + counts["impressions"]["late"] > 0
    before = content(Path(job.out))
    for table in TABLES:
        scattered(logs.folder / table / NIGHT, lines[table], rng)
    assert ingest.run(spark, job) == counts
    assert content(Path(job.out)) == before


def test_every_line_is_counted_once_wherever_it_lies(spark, logs, impression, event, items):
    _any_lines(600, 1, spark, logs, (impression, event, items))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 6))
def test_a_hundred_thousand_lines(spark, logs, impression, event, items, seed: int):
    _any_lines(9_000, seed, spark, logs, (impression, event, items))
