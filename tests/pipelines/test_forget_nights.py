"""Before and after a person is forgotten: which files of real nights know them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mrlm.privacy.person import pseudonym_of
from pipelines.care.forgetting.erasure import forget
from pipelines.contract.context import NightContext
from pipelines.contract.workspace import Workspace
from pipelines.running.run_stage import is_unchanged, run_stage
from pipelines.settings.load import load_settings
from pipelines.stages import stage_named
from tests.pipelines.forgetting import holding
from tests.pipelines.test_bad_input import SETTINGS, click, impression, item

pytestmark = pytest.mark.spark

FIRST, SECOND = "2026-11-20", "2026-11-21"
STAGES = ("ingest", "validate", "build_log")
KEY = b"a key for the tests"
USER, TEXT = "person-secret", "a planted text"
PSEUDONYM = pseudonym_of(KEY, USER)
RAW = {"user_id": USER, "context": {"said": TEXT}}


def shown(n: int, **changes: Any) -> dict[str, Any]:
    """An impression of the person's."""
    return impression(n, **RAW, request_id=f"request-{n}", **changes)


def clicked(n: int, **changes: Any) -> dict[str, Any]:
    return click(n, **{"request_id": f"request-{n}", **changes})


def written(folder: Path, night: str, **tables: list[Any]) -> NightContext:
    for table in ("impressions", "feedback", "items"):
        place = folder / table / night
        place.mkdir(parents=True)
        lines = [r if isinstance(r, str) else json.dumps(r) for r in tables[table]]
        (place / "part-0.jsonl").write_text("".join(f"{x}\n" for x in lines))
    (folder / "mrlm.toml").write_text(SETTINGS)
    loaded = load_settings(folder / "mrlm.toml")
    return NightContext(night, loaded, Workspace(loaded.workspace))


def run(context: NightContext) -> dict[str, Any]:
    counts = {n: run_stage(stage_named(n), context).manifest.counts for n in STAGES}
    found: dict[str, Any] = counts["ingest"]
    for table in ("impressions", "feedback", "items"):
        of = found[table]
        parts = of["clean"] + of["duplicate"] + of["late"] + sum(of["quarantined"].values())
        assert of["raw"] == parts
    return found


def test_only_the_raw_files_know_a_person_who_was_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRLM_USER_KEY", KEY.decode())
    broken = f'{{"request_id": "r9", "user_id": "{USER}", "context": {{"said": "{TEXT}'
    others = [impression(n) for n in range(8)]
    first = written(
        tmp_path,
        FIRST,
        impressions=[
            *others,
            shown(20),
            shown(21),
            shown(22, propensity=7),
            shown(22, propensity=0.5, ts="2026-11-02T10:00:00Z"),
            broken,
        ],
        feedback=[
            *[click(n) for n in range(4)],
            clicked(20),
            # No objective reads it: validation shows the row, and the name on its pages.
            {**clicked(20), "event_id": "e23", "event": f"told us {TEXT}"},
            clicked(21, value=f"so much {TEXT}"),
            clicked(22),
        ],
        items=[item("a"), item("b")],
    )
    run(first)

    # Raw ids and raw texts are in quarantine alone, and what is clean has its columns.
    workspace = tmp_path / "workspace"
    known = holding(workspace, USER, "so much", '"said"')
    assert known
    assert all("/ingest/quarantine/" in name for name in known)
    pages = {n for n in holding(workspace, TEXT) if "/validate/" in n}
    assert {Path(n).suffix for n in pages} == {".json", ".html", ".txt"}
    clean = {n.rpartition("/")[0] for n in holding(workspace, TEXT)} - {
        n.rpartition("/")[0] for n in [*known, *pages]
    }
    tables = ("impressions", "late/impressions", "feedback")
    assert clean == {
        *(f"lake/{FIRST}/ingest/{table}" for table in tables),
        f"lake/{FIRST}/build_log/night={FIRST}/decisions",
    }

    raw = holding(tmp_path / "impressions", USER)
    done = forget(
        first.settings,
        KEY,
        USER,
        actor="ada",
        at="2026-11-29T12:00:00+00:00",
        reason="asked to",
        wait=5.0,
        progress=lambda *_: None,
    )
    assert not done.left
    assert done.nights == ["2026-11-02", FIRST]
    texts = (USER, PSEUDONYM, TEXT, "request-20", "request-21", "request-22")
    assert not holding(workspace, *texts)
    assert holding(tmp_path / "impressions", USER) == raw
    assert all(is_unchanged(stage_named(name), first) for name in STAGES)

    # What still arrives of them is dropped and counted; a request of before is known by its hash.
    night = {"ts": f"{SECOND}T10:00:00Z"}
    second = written(
        tmp_path,
        SECOND,
        impressions=[
            *[impression(n, **night, user_id=f"person-{n}") for n in range(30, 36)],
            shown(40, **night),
            shown(20),
        ],
        feedback=[click(30, **night), clicked(40, **night), clicked(20, event_id="e220")],
        items=[],
    )
    counts = run(second)
    assert counts["impressions"]["quarantined"] == {"forgotten": 2}
    assert counts["feedback"]["quarantined"] == {"forgotten": 2}
    assert not holding(workspace, *texts, "request-40")
    assert all(is_unchanged(stage_named(name), first) for name in STAGES)
