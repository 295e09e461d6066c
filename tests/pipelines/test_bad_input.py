"""Bad input ends in quarantine, counted, or in an error that says what to do."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.care.quarantine import counts_of, shown_rows
from pipelines.contract.context import NightContext
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.running.run_stage import run_stage
from pipelines.settings.load import load_settings
from pipelines.stages import stage_named

pytestmark = pytest.mark.spark

NIGHT = "2026-11-20"
SETTINGS = """
workspace = "workspace"
[inputs.impressions]
path = "impressions/{night}"
[inputs.feedback]
path = "feedback/{night}"
[inputs.items]
path = "items/{night}"
[state]
history_objective = "click"
[[objectives]]
name = "click"
source = "feedback"
role = "north_star"
event = "click"
transform = "any"
missing = 0.0
"""

PLACE = 'path = "impressions/{night}"'
RENAMED = SETTINGS.replace(PLACE, f'{PLACE}\ncolumns = {{propensity = "prob"}}')

WORDZ = SETTINGS.replace("[inputs.imp", '[inputs]\nattribute_fields = ["wordz"]\n[inputs.imp', 1)


def impression(n: int, **changes: Any) -> dict[str, Any]:
    base = {
        "request_id": f"r{n}",
        "ts": f"{NIGHT}T10:00:{n:02d}Z",
        "user_id": f"person-{n}",
        "scene": "home",
        "position": 1,
        "item_id": "a",
        "propensity": 0.5,
        "candidates": ["a", "b"],
        "candidate_propensities": [0.5, 0.5],
        "policy_id": "p",
    }
    return {**base, **changes}


def click(n: int, **changes: Any) -> dict[str, Any]:
    base = {
        "event_id": f"e{n}",
        "request_id": f"r{n}",
        "item_id": "a",
        "ts": f"{NIGHT}T10:01:{n:02d}Z",
        "event": "click",
        "value": 1.0,
    }
    return {**base, **changes}


def item(name: str, **changes: Any) -> dict[str, Any]:
    return {"item_id": name, "text": f"item {name}", "category": "x", **changes}


GOOD = {
    "impressions": [impression(n) for n in range(3)],
    "feedback": [click(0)],
    "items": [item("a"), item("b")],
}


def night(folder: Path, settings: str = SETTINGS, **tables: list[Any]) -> NightContext:
    """A deployment with one raw night; None as a table leaves its file away."""
    for table, rows in {**GOOD, **tables}.items():
        if rows is None:
            continue
        place = folder / table / NIGHT
        place.mkdir(parents=True)
        lines = [r if isinstance(r, str) else json.dumps(r) for r in rows]
        (place / "part-0.jsonl").write_text("".join(f"{x}\n" for x in lines))
    (folder / "mrlm.toml").write_text(settings)
    loaded = load_settings(folder / "mrlm.toml")
    return NightContext(NIGHT, loaded, Workspace(loaded.workspace))


def ingest(context: NightContext) -> dict[str, Any]:
    return run_stage(stage_named("ingest"), context).manifest.counts


def test_bad_rows_are_quarantined_with_their_reason_and_counted(tmp_path: Path) -> None:
    bad = {
        "null_user": impression(10, user_id=None),
        "propensity_out_of_range": impression(11, propensity=0.0),
        "no_candidates": impression(12, candidates=[], candidate_propensities=[]),
        "unknown_item": impression(13, candidates=["a", "zz"]),
        "shown_not_in_candidates": impression(14, candidates=["b"], candidate_propensities=[1.0]),
        "missing_propensity": impression(15, propensity=None),
        "unparsable": '{"request_id": "r16", "ts',
        "wrong_type": impression(17, position="first"),
    }
    above = impression(18, propensity=1.2)
    nothing = impression(19)
    del nothing["candidates"]
    deep = '{"request_id": ' + "[" * 20_000 + "]" * 20_000 + "}"
    rows = [*GOOD["impressions"], *bad.values(), above, nothing, deep]
    context = night(tmp_path, impressions=rows)
    counts = ingest(context)["impressions"]
    expected = dict.fromkeys(bad, 1)
    expected |= {"propensity_out_of_range": 2, "no_candidates": 2, "unparsable": 2}
    assert counts["quarantined"] == expected
    assert counts["raw"] == len(rows) == counts["clean"] + sum(expected.values())

    folder = context.lake("ingest").folder / "quarantine"
    assert {r for _, r in counts_of(folder)} == set(expected)
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert all(stat.S_IMODE(p.stat().st_mode) & 0o077 == 0 for p in files)
    printed = "\n".join(shown_rows(folder, context.settings, 100))
    assert "pseudonym:" in printed
    assert "person-" not in printed
    # Quarantine is the only place with raw user ids.
    for table in ("impressions", "late"):
        place = folder.parent / table
        if place.exists():
            assert "person-" not in str(pq.read_table(place, partitioning=None).to_pylist())


@pytest.mark.parametrize(
    ("tables", "settings", "says"),
    [
        ({"impressions": None}, SETTINGS, "inputs.impressions.path"),
        ({"impressions": []}, SETTINGS, "impressions"),
        (
            {"impressions": [{**impression(1), "p": 0.5, "propensity": None}]},
            RENAMED,
            "inputs.impressions.columns",
        ),
        ({"items": [{"item_id": "a", "category": "x"}]}, SETTINGS, "text"),
        ({"items": [item("a", words=3), item("b")]}, WORDZ, "did you mean words"),
    ],
    ids=["missing file", "empty night", "renamed column", "catalogue without text", "wordz"],
)
def test_a_bad_table_is_an_error_that_says_what_to_change(
    tmp_path: Path, tables: dict[str, Any], settings: str, says: str
) -> None:
    context = night(tmp_path, settings, **tables)
    with pytest.raises(DataError, match=says) as error:
        ingest(context)
    assert NIGHT in str(error.value)


def test_without_a_key_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MRLM_USER_KEY")
    with pytest.raises(DataError, match="MRLM_USER_KEY"):
        ingest(night(tmp_path))
