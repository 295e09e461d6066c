"""Spark counts what the arrays count, and a night is judged by it."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrlm.log_checks.show_counts import HALF, InverseShows, count_inverse_shows
from mrlm.log_checks.shows import ShowLimits
from pipelines.expectations.run import validate_night
from pipelines.expectations.show_aggregation import show_counts
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
    from spark_jobs.schemas import IMPRESSIONS

    return spark.createDataFrame(
        [tuple(r[n] for n in IMPRESSIONS.names) for r in rows], IMPRESSIONS
    )


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
        impressions(spark, rows_of(night)),
        len(night.candidates),
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
        impressions(spark, rows_of(night, alone=True)),
        len(night.candidates),
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


def judged(spark: Any, folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    from spark_jobs.schemas import CLEAN

    counts: dict[str, Any] = {"catalog": 60}
    for table, schema in CLEAN.items():
        found = impressions(spark, rows) if table == "impressions" else None
        found = spark.createDataFrame([], schema) if found is None else found
        found.coalesce(1).write.parquet(str(folder / table))
        many = len(rows) if table == "impressions" else 0
        counts[table] = {"raw": many, "clean": many, "quarantined": {}}
    (folder / "counts.json").write_text(json.dumps(counts))
    return validate_night(spark, folder, NIGHT, SETTINGS, [], folder / "docs")


def test_a_softmax_that_is_logged_as_uniform_stops_the_night(spark: Any, tmp_path: Path) -> None:
    true = show_night(replace(WORLD, slots=900), 1)
    verdict = judged(spark, tmp_path / "true", rows_of(true))
    assert [f["expectation"] for f in verdict["failed"]] == []
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
    pages = "".join(p.read_text() for p in (tmp_path / "lied" / "docs").rglob("*.html"))
    assert "logged as if uniform" in pages


def test_a_sample_of_a_large_night_is_counted_by_request(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.expectations.show_aggregation.MOST_SLOTS", 350)
    night = show_night(WORLD, 5)
    rows = rows_of(night)
    counts = show_counts(
        impressions(spark, rows), len(rows), sum_tolerance=0.01, tolerance=ShowLimits().tolerance
    )
    share = counts.sums[0].slots[0] / len(rows)
    assert 0.3 < share * len(rows) / 350 < 1.6
    positions = next(s for s in counts.sums if s.kind == "position")
    # All slots of a request are counted, or none.
    assert np.ptp(positions.slots) <= 1
