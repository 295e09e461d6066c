"""gittins' experience log, whose resolutions name neither item nor time, becomes three tables."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mrlm.log_mapping.experience_log import convert_experience_log
from mrlm.log_mapping.log_check import check_log

MIDNIGHT = 1574640000.0


def decision(name: str, t: float, chosen: int = 0, **changes: Any) -> dict[str, Any]:
    record = {"decision_id": name, "t": t, "chosen": chosen, "propensity": 0.5, "salt": "web"}
    return {
        "event": "decision",
        "bits": 8,
        "context": {"device": "mobile", "hour": 14, "none": None},
        "candidates": [["a", {"discount": 0.2}], ["b", {}]],
        "record": record | changes,
    }


def resolution(name: str, kind: str = "rewarded", reward: float | None = 1.5) -> dict[str, Any]:
    return {"event": "resolution", "decision_id": name, "kind": kind, "reward": reward}


LOG = [
    "cut {",
    decision("d0", MIDNIGHT - 60),
    decision("d1", MIDNIGHT + 60, 1),
    resolution("d0"),
    resolution("d1", "censored", None),
    resolution("d1"),
    resolution("d9"),
    decision("d2", MIDNIGHT + 90, 7),
    {"event": "other"},
]


def rows(path: Path) -> list[Any]:
    return [
        json.loads(line) if line.startswith("{") else line for line in path.read_text().splitlines()
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_every_line_ends_in_a_table(tmp_path: Path, packed: bool) -> None:
    lines = [line if isinstance(line, str) else json.dumps(line) for line in LOG]
    data = "\n".join(lines).encode()
    log = tmp_path / "log.jsonl"
    log.write_bytes(gzip.compress(data) if packed else data)
    found = convert_experience_log([log], tmp_path / "out")
    assert (found.decisions, found.resolutions, found.unread) == (2, 4, 3)
    assert found.nights == {"2019-11-24", "2019-11-25"}
    first = rows(tmp_path / "out/impressions/2019-11-24/part-0.jsonl")
    # What stands before the first decision lies in the night of that decision.
    assert first[0] == "cut {"
    assert first[1]["item_id"] == "a"
    assert first[1]["context"] == {"device": "mobile", "hour": "14"}
    second = rows(tmp_path / "out/impressions/2019-11-25/part-0.jsonl")
    assert second[0]["item_id"] == "b"
    assert second[1] == json.loads(lines[7])
    events = rows(tmp_path / "out/feedback/2019-11-25/part-0.jsonl")
    told = [(e["request_id"], e["item_id"], e["event"], e["value"]) for e in events]
    assert told == [
        ("d0", "a", "reward", 1.5),
        ("d1", "b", "censored", 1.0),
        ("d1", None, "reward", 1.5),
        ("d9", None, "reward", 1.5),
    ]
    assert {e["ts"] for e in events} == {"2019-11-25T00:01:00+00:00"}
    items = rows(tmp_path / "out/items/2019-11-24/part-0.jsonl")
    assert [i["text"] for i in items] == ["a: discount 0.2", "b"]
    with pytest.raises(FileExistsError, match="not empty"):
        convert_experience_log([log], tmp_path / "out")


def test_what_was_written_needs_no_mapping(tmp_path: Path) -> None:
    lines = []
    for i in range(300):
        lines += [decision(f"d{i}", MIDNIGHT + i, i % 2), resolution(f"d{i}", reward=float(i % 3))]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = check_log(log)
    assert before.tables["impressions"].format_name == "gittins experience log"
    assert not before.evaluable
    assert any("mrlm logs convert" in f.text for f in before.findings if f.stops)
    convert_experience_log([log], tmp_path / "out")
    found = check_log(tmp_path / "out")
    assert found.evaluable, found.findings
    names = found.tables["impressions"].columns
    assert {n: s for n, s in names.items() if n != s} == {}
    assert found.event_kinds == {"reward": 300}
    assert found.tables["items"].text_fields == ["text"]
    assert not found.tables["items"].rows


def test_nights_are_those_of_the_zone(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps(decision("d0", MIDNIGHT - 60)))
    assert convert_experience_log([log], tmp_path / "out", "Asia/Shanghai").nights == {"2019-11-25"}
