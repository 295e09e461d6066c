"""What Spark reads is counted as the arrays are, and a night is judged by it."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.log_checks.show_counts import HALF, InverseShows, count_inverse_shows
from mrlm.log_checks.shows import ShowLimits
from mrlm.worlds.memory import replay_log
from mrlm.worlds.ratings import load_movielens
from mrlm.worlds.replayed import ReplaySettings
from pipelines.expectations.first_page import write_summary
from pipelines.expectations.run import validate_night
from pipelines.expectations.shown_slots import show_counts, slots_of, stored_candidates, taken
from pipelines.settings.model import Settings
from tests.log_checks.show_nights import SMALL, ShowNight, likeliest, show_night, uniform
from tests.pipelines.expectations.test_validate_night import NIGHT, SETTINGS

pytestmark = pytest.mark.spark
WORLD = replace(
    SMALL,
    slots=700,
    items=60,
    candidates=(4, 9),
    scenes=("home", "search"),
    coefficient={"softmax": 0.9},
)
CATALOG = pa.Table.from_pylist(
    [
        {
            "item_id": f"m{i}",
            "text": "",
            "categories": ["ab"[i % 2]],
            "provider": None,
            "attributes": [("year", 1.0 * i)],
        }
        for i in range(WORLD.items)
    ],
    schema=ITEMS_SCHEMA,
)


def rows_of(night: ShowNight, alone: bool = False) -> list[dict[str, Any]]:
    """Clean impressions."""
    day, found = dt.date.fromisoformat(NIGHT), []
    offsets = night.candidates.offsets
    for k in range(len(night.candidates)):
        q = night.logged[offsets[k] : offsets[k + 1]]
        candidates = [str(night.items[i]) for i in night.candidates[k]]
        hour = int(night.groups["hour"][k])
        found.append(
            {
                "request_id": f"r{k // WORLD.positions}",
                "ts": dt.datetime(day.year, day.month, day.day, hour, 5, tzinfo=dt.UTC),
                "night": day,
                "arrival": day,
                "user": f"u{k % 50}",
                "session_id": None,
                "scene": night.groups["scene"][k],
                "position": int(night.groups["position"][k]),
                "item_id": candidates[night.chosen[k]],
                "propensity": float(q[night.chosen[k]]),
                "candidates": candidates,
                "candidate_propensities": None if alone else q.tolist(),
                "propensity_kind": "conditional",
                "policy_id": night.groups["policy"][k],
                "context": {},
            }
        )
    return found


def impressions(spark: Any, rows: list[dict[str, Any]]) -> Any:
    from spark_jobs.contract.schemas import IMPRESSIONS

    return spark.createDataFrame(
        [tuple(r[n] for n in IMPRESSIONS.names) for r in rows], IMPRESSIONS
    )


def read(spark: Any, night: ShowNight, rows: list[dict[str, Any]]) -> pa.Table:
    """The slots of a night that are counted."""
    counted = taken(len(rows), len(night.candidates.values))
    return slots_of(impressions(spark, rows), counted).toArrow()


def same(found: Any, wanted: Any) -> None:
    """Fields of two tables of sums, rows in the order of their labels."""
    for field in fields(wanted):
        a, b = getattr(found, field.name), getattr(wanted, field.name)
        if isinstance(b, str):
            assert a == b
        elif b.dtype == object:
            assert a.tolist() == b.tolist()
        else:
            np.testing.assert_allclose(a, b, atol=1e-9, err_msg=field.name)


def test_spark_counts_what_the_arrays_count(spark: Any) -> None:
    night = show_night(WORLD, 3)
    night = replace(night, logged=night.truth * np.where(night.truth < 0.05, 0.9, 1.0))
    found = show_counts(
        read(spark, night, rows_of(night)),
        sum_tolerance=0.01,
        tolerance=0.05,
    )
    # Spark halves the requests by their hash.
    wanted = night.counts()
    kinds = [c.kind for c in wanted.cells if c.kind != HALF]
    assert [c.kind for c in found.cells if c.kind != HALF] == kinds
    order = {str(name): k for k, name in enumerate(np.unique(night.items))}
    for kind in kinds:
        mine = next(c for c in found.cells if c.kind == kind)
        theirs = next(c for c in wanted.cells if c.kind == kind)
        assert mine.groups.tolist() == theirs.groups.tolist()
        place = np.lexsort(([order[str(theirs.items[i])] for i in theirs.item], theirs.group))
        names = [str(theirs.items[i]) for i in theirs.item[place]]
        assert [str(mine.items[i]) for i in mine.item] == names
        for name in ("slots", "expected", "variance", "uniform", "shown"):
            np.testing.assert_allclose(getattr(mine, name), getattr(theirs, name)[place])
    for a, b in zip(found.sums, wanted.sums, strict=True):
        same(a, b)
    same(found.bins, wanted.bins)
    halves = next(c for c in found.cells if c.kind == HALF)
    assert halves.shown.sum() == len(night.candidates)
    assert found.inverse == ()


def test_spark_counts_the_slots_that_log_one_propensity(spark: Any) -> None:
    night = show_night(WORLD, 4)
    found = show_counts(
        read(spark, night, rows_of(night, alone=True)),
        sum_tolerance=0.01,
        tolerance=0.05,
    )
    p = night.logged[night.candidates.offsets[:-1] + night.chosen]
    wanted = count_inverse_shows(
        night.candidates, p, night.chosen, night.groups, night.items, tolerance=0.05
    )
    assert [i.kind for i in found.inverse] == [i.kind for i in wanted]
    for mine, theirs in zip(found.inverse, wanted, strict=True):
        place = np.argsort(theirs.labels.astype(str))
        arrays = {
            f.name: getattr(theirs, f.name)[place] for f in fields(theirs) if f.name != "kind"
        }
        same(mine, InverseShows(kind=theirs.kind, **arrays))


def test_candidates_are_counted_by_what_files_say(spark: Any, tmp_path: Path) -> None:
    night = show_night(WORLD, 4)
    rows = rows_of(night)
    impressions(spark, rows).repartition(3).write.parquet(str(tmp_path / "impressions"))
    assert stored_candidates(tmp_path / "impressions") == len(night.candidates.values)


def judged(
    spark: Any,
    folder: Path,
    rows: list[dict[str, Any]],
    settings: Settings = SETTINGS,
    trailing: Sequence[dict[str, Any]] = (),
    catalog: pa.Table = CATALOG,
) -> dict[str, Any]:
    from spark_jobs.contract.schemas import CLEAN

    (folder / "catalog").mkdir(parents=True)
    pq.write_table(catalog, folder / "catalog" / "part-0.parquet")
    counts: dict[str, Any] = {"catalog": len(catalog)}
    for table, schema in CLEAN.items():
        found = impressions(spark, rows) if table == "impressions" else None
        found = spark.createDataFrame([], schema) if found is None else found
        found.coalesce(1).write.parquet(str(folder / table))
        many = len(rows) if table == "impressions" else 0
        counts[table] = {"raw": many, "clean": many, "quarantined": {}}
    (folder / "counts.json").write_text(json.dumps(counts))
    return validate_night(spark, folder, NIGHT, settings, trailing, [], folder)


def test_a_softmax_that_is_logged_as_uniform_stops_the_night(spark: Any, tmp_path: Path) -> None:
    true = show_night(replace(WORLD, slots=900), 1)
    lied = replace(true, logged=uniform(true))
    verdict = judged(spark, tmp_path / "lied", rows_of(lied))
    (failure,) = verdict["failed"]
    assert failure["expectation"] == "shows follow the propensities"
    popular = "|".join(str(true.items[i]) for i in likeliest(true)[:5])
    told = rf"logged as if uniform: item ({popular}) shown (\d+) times, (\d+) expected"
    named = re.fullmatch(told, failure["observed"])
    assert named
    assert int(named[2]) > 1.5 * int(named[3])
    assert failure["rows"][0]["item_id"] == named[1]
    assert verdict["tables"]["impressions"] == "stopped"
    assert abs(verdict["statistics"]["inverse_propensity_gap"]) < 1e-9
    pages = "".join(p.read_text() for p in (tmp_path / "lied" / "data_docs").rglob("*.html"))
    assert "logged as if uniform" in pages
    assert failure["owner"] == "whoever writes the logger of impressions"
    write_summary(tmp_path, NIGHT, verdict, [])
    line = (tmp_path / "summary.txt").read_text().splitlines()[0]
    assert line.startswith(f"night {NIGHT} is stopped (1 critical): impressions: {told[:18]}")
    assert "when it is shown" in (tmp_path / "summary.html").read_text()


def test_the_demonstrations_softmax_logged_as_uniform_is_named(spark: Any, tmp_path: Path) -> None:
    """Thousands of films, none shown often: those of a kind together say what was lied about."""
    log, _ = replay_log(load_movielens(), seed=3, users=300, settings=ReplaySettings(nights=3))
    log = log.take(np.flatnonzero(log.night == log.night[0]))
    decisions = log.decisions
    day, names = dt.date.fromisoformat(NIGHT), decisions.catalog.item_id
    rows = []
    for k in range(len(log)):
        at = slice(decisions.offsets[k], decisions.offsets[k + 1])
        request, _, position = log.decision_id[k].partition("#")
        rows.append(
            {
                "request_id": request,
                "ts": decisions.ts[k].item().replace(tzinfo=dt.UTC),
                "night": day,
                "arrival": day,
                "user": decisions.user[k],
                "session_id": None,
                "scene": decisions.scene[k],
                "position": int(position),
                "item_id": names[decisions.candidates[k][log.action[k]]],
                "propensity": float(log.propensity[k]),
                "candidates": [names[i] for i in decisions.candidates[k]],
                "candidate_propensities": log.candidate_propensity[at].tolist(),
                "propensity_kind": "conditional",
                "policy_id": log.policy_id[k],
                "context": {},
            }
        )
    catalog = decisions.catalog.to_table()
    verdict = judged(spark, tmp_path / "true", rows, catalog=catalog)
    assert (verdict["failed"], verdict["warnings"]) == ([], [])
    for row in rows:
        many = len(row["candidates"])
        row |= {"propensity": 1 / many, "candidate_propensities": [1 / many] * many}
    verdict = judged(spark, tmp_path / "lied", rows, catalog=catalog)
    (failure,) = verdict["failed"]
    told = r"logged as if uniform: items of popularity above \d+ shown (\d+) times, (\d+) expected"
    named = re.fullmatch(told, failure["observed"])
    assert named
    assert int(named[1]) > 1.3 * int(named[2])


def test_arms_and_shape_of_a_night_are_compared(spark: Any, tmp_path: Path) -> None:
    """Users by arm against stated shares; the shown items' year against trailing nights."""
    true = show_night(replace(WORLD, coefficient={"softmax": 0.9, "explore": 0.9}), 6)
    rows = rows_of(true)
    for row in rows:
        # Users are randomised: each belongs to one arm.
        row["user"] = f"{row['policy_id']}-{row['user']}"
    shares = SETTINGS.validation.model_copy(update={"arm_shares": {"softmax": 0.9, "explore": 0.1}})
    settings = SETTINGS.model_copy(update={"validation": shares})
    first = judged(spark, tmp_path / "first", rows, settings)
    assert [f["expectation"] for f in first["failed"]] == ["sample ratio of the arms"]
    users = first["statistics"]["arms"]
    assert set(users) == {"softmax", "explore"}
    assert re.fullmatch(
        rf"arm (softmax|explore) has \d+ users, \d+ expected of {sum(users.values())}",
        first["failed"][0]["observed"],
    )
    shape = first["statistics"]["shape"]
    assert sum(shape["histograms"]["category of shown items"].values()) == len(rows)
    assert sum(shape["histograms"]["number of candidates"].values()) == len(rows)
    # On the trailing nights the films were a hundred years older.
    usual = json.loads(json.dumps(first["statistics"]))
    years = usual["shape"]["histograms"]["year of shown items"]
    years["0"] = 3.0 * len(rows)
    verdict = judged(spark, tmp_path / "second", rows, SETTINGS, [usual] * 5)
    assert verdict["failed"] == []
    (warning,) = verdict["warnings"]
    assert warning["expectation"] == "year of shown items as usual"
    assert re.match(r"year of shown items moved by [\d.]+ \(population", warning["observed"])
    write_summary(tmp_path, NIGHT, verdict, [usual] * 5)
    assert (tmp_path / "summary.html").read_text().count("<img") == 1


@pytest.mark.parametrize(("limit", "a_slot"), [("MOST_SLOTS", 1.0), ("MOST_CANDIDATES", 6.5)])
def test_a_sample_of_a_large_night_is_counted_by_request(
    spark: Any, monkeypatch: pytest.MonkeyPatch, limit: str, a_slot: float
) -> None:
    monkeypatch.setattr(f"pipelines.expectations.shown_slots.{limit}", int(350 * a_slot))
    night = show_night(WORLD, 5)
    rows = rows_of(night)
    counts = show_counts(
        read(spark, night, rows), sum_tolerance=0.01, tolerance=ShowLimits().tolerance
    )
    share = counts.sums[0].slots[0] / len(rows)
    assert 0.3 < share * len(rows) / 350 < 1.6
    positions = next(s for s in counts.sums if s.kind == "position")
    # All slots of a request are counted, or none.
    assert np.ptp(positions.slots) <= 1
