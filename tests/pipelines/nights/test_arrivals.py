"""What a night's ingestion reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.failures.errors import DataError
from pipelines.nights.arrivals import raw_inputs, require_clock, table_input
from pipelines.nights.lake import ingested
from tests.pipelines.nights.workspaces import Made

NIGHTS = ("2026-11-10", "2026-11-11", "2026-11-12")
SHANGHAI = {"time_zone": "Asia/Shanghai", "night_starts": "00:00"}


def ingested_with(made: Made, night: str, **counts: Any) -> None:
    folder = made.workspace.lake_stage(night, "ingest")
    made.complete(folder, "ingest", night, counts={"item_fields": [], "key_id": "k", **counts})


def test_nights_that_begin_otherwise_do_not_follow_each_other(tmp_path: Path) -> None:
    made = Made(tmp_path)
    # The first was read before it was a setting.
    ingested_with(made, NIGHTS[0])
    utc = made.context(NIGHTS[1])
    require_clock(utc, ingested(utc))
    ingested_with(made, NIGHTS[1], clock=SHANGHAI)
    local = made.context(NIGHTS[2], ingestion={"time_zone": "Asia/Shanghai"})
    with pytest.raises(DataError) as refused:
        require_clock(local, ingested(local))
    told = f"night {NIGHTS[2]}: night {NIGHTS[0]} was read with ingestion.time_zone = 'UTC': its"
    assert str(refused.value).startswith(told)
    later = made.context(NIGHTS[2], ingestion={"night_starts": "04:00"})
    with pytest.raises(DataError, match="time_zone = 'Asia/Shanghai' and night_starts = '00:00'"):
        require_clock(later, {NIGHTS[1]: ingested(later)[NIGHTS[1]]})


def test_items_of_a_later_night_are_found_by_a_glob_too(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "items" / NIGHTS[1]
    folder.mkdir(parents=True)
    (folder / "new.jsonl").write_text("{}\n")
    pattern = f"{tmp_path}/items/{{night}}/*.jsonl"
    inputs = {"impressions": {"path": "x"}, "feedback": {"path": "x"}, "items": {"path": pattern}}
    there, none = (made.context(night, inputs=inputs) for night in NIGHTS[1:])
    place = f"{folder}/*.jsonl"
    assert raw_inputs(there, later=True)["raw/items"] == place
    assert table_input(there, "items", later=True).paths == (place,)
    # A night may bring none; the first one has to.
    assert "raw/items" not in raw_inputs(none, later=True)
    assert "raw/items" in raw_inputs(none, later=False)
