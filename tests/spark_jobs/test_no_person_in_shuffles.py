"""No raw user id and no raw text passes a shuffle, a broadcast or a cache of an ingestion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark import StorageLevel

from spark_jobs import ingest
from spark_jobs.reading.raw import TableInput
from spark_jobs.runtime import work

pytestmark = pytest.mark.spark

NIGHT = "2026-11-10"
USER, TEXT = b"user-secret-1", b"broken by a planted text"
# What hands rows from task to task, or keeps them: for a small night as an RDD, else as a relation.
KEEPS = r"InMemoryRelation|InMemoryTableScan|Scan ExistingRDD"
PASSES = rf"(?:Broadcast)?Exchange|ReusedExchange|\w*QueryStage|{KEEPS}"
NODE = re.compile(
    r"^\(\d+\) (Scan ExistingRDD|\w+)[^\n]*\n(.*?)(?=^\(\d+\) |^=====|\Z)", re.M | re.S
)
ATTRIBUTE = r"[\w.]+#\d+"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MRLM_USER_KEY", "a key for the tests")


OTHERS = [pytest.param(p, marks=pytest.mark.long) for p in ("csv", "parquet")]


@pytest.fixture(params=["json with candidate sets", *OTHERS])
def job(request: pytest.FixtureRequest, logs: Any, impression: Any, event: Any, items: Any) -> Any:
    """A night with rows of each category, in one of the formats."""
    shown = [
        impression("known-request"),
        impression("known-request"),
        impression("r2", propensity=7),
        impression("r3", user_id="another-1"),
        impression("r4", ts="2026-11-01T10:00:00Z"),
    ]
    broken = f'{{"request_id": "r9", "user_id": "{USER.decode()}", "x": "{TEXT.decode()}'
    feedback = [event("e1", "known-request"), event("e2", "r3", value="7 of them")]
    form, _, sets = request.param.partition(" ")
    if sets:
        for row in shown:
            del row["candidates"]
            row["candidate_set_id"] = "both"
    # The other formats have no lines that are broken in such a way.
    rows = [*shown, *([broken] if form == "json" else [])]
    logs.write(NIGHT, impressions=rows, feedback=feedback, items=items("a", "b"))
    made = logs.job(NIGHT, keep_user_ids=True)
    if sets:
        place = logs.folder / "sets"
        place.mkdir()
        (place / "part.jsonl").write_text('{"candidate_set_id": "both", "candidates": ["a", "b"]}')
        return replace(made, candidate_set_path=str(place))
    tables = {
        t: TableInput((rewritten(Path(i.paths[0]), form),), form) for t, i in made.tables.items()
    }
    return replace(made, tables=tables)


def rewritten(folder: Path, form: str) -> str:
    """The JSON lines of a folder in another format, in a new folder."""
    rows = [json.loads(x) for x in (folder / "part.jsonl").read_text().splitlines()]
    target = folder.with_name(f"{folder.name}-{form}")
    target.mkdir()
    for row in rows:
        for name, value in row.items():
            if isinstance(value, dict | list) and (form == "csv" or isinstance(value, dict)):
                row[name] = json.dumps(value)
            elif name in ("value", "context") and not isinstance(value, str):
                row[name] = str(value)
    table = pa.Table.from_pylist(rows)
    if form == "parquet":
        pq.write_table(table, target / "part.parquet")
    else:
        quoted = [[f'"{str(v).replace(chr(34), chr(34) * 2)}"' for v in r.values()] for r in rows]
        lines = [",".join(rows[0]), *(",".join(row) for row in quoted)]
        (target / "part.csv").write_text("".join(f"{line}\n" for line in lines))
    return str(target)


@pytest.fixture(params=["small", "large"])
def ran(
    request: pytest.FixtureRequest, spark: Any, job: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[list[str], list[Path]]]:
    """Plans of what ran, and the files with what went through shuffles, broadcasts and caches."""
    changed = {
        "spark.sql.debug.maxToStringFields": "1000",
        "spark.sql.maxPlanStringLength": "10000000",
    }
    if request.param == "large":
        # As in the session of a large night.
        changed["spark.sql.codegen.wholeStage"] = "true"
    settings = {name: spark.conf.get(name) for name in changed}
    for name, value in changed.items():
        spark.conf.set(name, value)
    # What is kept goes to disk, where it can be looked at, and stays there until the end.
    releases: list[Callable[[], object]] = []
    monkeypatch.setattr(work.StorageLevel, "MEMORY_AND_DISK", StorageLevel.DISK_ONLY)
    monkeypatch.setattr(work.Work, "free", lambda run: releases.extend(run._kept))
    # Rows that are kept as an RDD let go of the shuffles that made them, and Spark removes those.
    made: list[Any] = []
    keep = work.Work.keep

    def kept_with_shuffles(run: work.Work, rows: Any) -> Any:
        found = keep(run, rows)
        if found is not rows:
            made.append(rows._jdf.queryExecution().toRdd())
        return found

    monkeypatch.setattr(work.Work, "keep", kept_with_shuffles)
    store = spark._jsparkSession.sharedState().statusStore()
    # Spark forgets old executions, so their number says nothing of which are new.
    before = max(_executions(store), default=-1)
    scratch = Path(spark.sparkContext.getConf().get("spark.local.dir"))
    there = {p for p in scratch.rglob("*") if p.is_file()}
    ingest.run(spark, job)
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    plans = [plan for number, plan in _executions(store).items() if number > before]
    yield plans, [p for p in scratch.rglob("*") if p.is_file() and p not in there]
    for release in releases:
        release()
    for name, value in settings.items():
        spark.conf.set(name, value)


def _executions(store: Any) -> dict[int, str]:
    """Plans of what ran, by number."""
    found = store.executionsList()
    each = [found.apply(i) for i in range(found.size())]
    return {e.executionId(): e.physicalPlanDescription() for e in each}


def test_raw_ids_and_texts_pass_nothing(ran: tuple[list[str], list[Path]]) -> None:
    plans, files = ran
    nodes = [node for plan in plans for node in NODE.findall(plan)]
    assert sum(re.fullmatch(PASSES, kind) is not None for kind, _ in nodes) > 20
    assert sum(re.fullmatch(KEEPS, kind) is not None for kind, _ in nodes) > 5
    raw = raw_attributes(nodes)
    assert any(a.startswith("user_id#") for a in raw)
    for kind, text in nodes:
        if re.fullmatch(PASSES, kind):
            passed = set(re.findall(ATTRIBUTE, text))
            assert not passed & raw, (kind, passed & raw)
    # And by the bytes that were written there, whatever the columns are called.
    shuffled = b"".join(p.read_bytes() for p in files if p.name.startswith("shuffle"))
    cached = b"".join(p.read_bytes() for p in files if p.name.startswith("rdd"))
    for part in (shuffled, cached):
        assert b"known-request" in part
        for text in (USER, TEXT, b"7 of them", b'"user_id"'):
            assert text not in part


def raw_attributes(nodes: list[tuple[str, str]]) -> set[str]:
    """Attributes that hold raw ids, raw lines or whole records, and what is another name of one."""
    names = r"(?:user_id|_raw|_record)#\d+"
    found = {a for _, text in nodes for a in re.findall(names, text)}
    for kind, text in nodes:
        if kind == "Scan" and "struct<value:string>" in text:
            found |= set(re.findall(r"\bvalue#\d+", text))
    renamed = {
        (old, new)
        for _, text in nodes
        for old, new in re.findall(rf"[\[,] ?({ATTRIBUTE}) AS ({ATTRIBUTE})", text)
    }
    while more := {new for old, new in renamed if old in found} - found:
        found |= more
    return found
