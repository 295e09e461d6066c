from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from mrlm.worlds import obd
from mrlm.worlds.extra import DemoPackageMissingError


def _rows(folder: Path, table: str) -> list[dict[str, Any]]:
    files = sorted((folder / table).glob("dt=*/part-0.jsonl"))
    return [json.loads(line) for f in files for line in f.read_text().splitlines()]


def test_the_uniform_arm(tmp_path: Path) -> None:
    world = obd.write_obd(tmp_path)
    assert list(world["nights"]) == [f"2019-11-{d}" for d in range(24, 31)]
    assert world["slots"] == 10_000
    assert world["clicks"] == 38
    rows = _rows(tmp_path, "impressions")
    assert len(rows) == 10_000
    assert len({r["request_id"] for r in rows}) == 10_000
    assert {r["position"] for r in rows} == {1, 2, 3}
    items = {r["item_id"] for r in _rows(tmp_path, "items")}
    assert len(items) == 80
    for row in rows[::500]:
        assert row["propensity"] == 1 / 80
        assert set(row["candidates"]) == items
        assert sum(row["candidate_propensities"]) == pytest.approx(1)
        assert row["item_id"] in items
    key = {(r["request_id"], r["item_id"]) for r in rows}
    clicks = _rows(tmp_path, "feedback")
    assert len(clicks) == 38
    assert all((c["request_id"], c["item_id"]) in key for c in clicks)
    for night, counts in world["nights"].items():
        for table in ("impressions", "feedback", "items"):
            path = tmp_path / table / f"dt={night}" / "part-0.jsonl"
            assert len(path.read_text().splitlines()) == counts[table]["raw"]
            assert counts[table]["raw"] == counts[table]["clean"]
        shown = (tmp_path / "impressions" / f"dt={night}" / "part-0.jsonl").read_text()
        times = [json.loads(line)["ts"] for line in shown.splitlines()]
        assert times == sorted(times)
        assert {t[:10] for t in times} == {night}


def test_the_thompson_arm_knows_only_what_was_shown(tmp_path: Path) -> None:
    world = obd.write_obd(tmp_path, arm="bts")
    assert world["clicks"] == 42
    rows = _rows(tmp_path, "impressions")
    assert all("candidate_propensities" not in r for r in rows)
    assert all(0 < r["propensity"] <= 1 for r in rows)


def test_an_arm_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no arm 'best'"):
        obd.write_obd(tmp_path, arm="best")  # type: ignore[arg-type]


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(obd, "files", missing)
    with pytest.raises(DemoPackageMissingError, match=r"pip install 'mrlm\[demo\]'"):
        obd.write_obd(tmp_path)
