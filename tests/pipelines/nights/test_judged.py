from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mrlm.evidence.evidence import Evidence
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.registry import version_files
from mrlm.promotion.registry import versions as registry
from pipelines.contract.outputs import StageFolder
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DamagedError, MissingInputError
from pipelines.nights import judged
from tests.pipelines.nights.workspaces import Made


def evidence(run_key: str) -> Evidence:
    return Evidence(run_key, run_key[:10], "f", "c", 1, "delight")


def entry(found: Evidence, version: int) -> Entry:
    said = {"actor": "gate", "at": "2026-11-20", "reason": "", "evidence": found.fingerprint()}
    return Entry("judged", found.run_key, version, **said)


OLD, NEW = evidence("2026-11-18-a"), evidence("2026-11-19-a")
ENTRIES = (entry(OLD, 2), entry(NEW, 3))


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two judged runs, whose versions the registry no longer has."""
    place = SimpleNamespace(ledger=SimpleNamespace(entries=lambda: ENTRIES))
    workspace = Workspace(tmp_path)

    def run(stage: str, run_key: str) -> StageFolder:
        return StageFolder(workspace.run_stage(run_key, stage), stage, run_key[:10])

    made = SimpleNamespace(workspace=workspace, registry=place, run_key="2026-11-20-a", run=run)
    monkeypatch.setattr(registry, "has_version", lambda *_: False)
    for found in (OLD, NEW):
        write(made, found)
    return made


def write(context: Any, found: Evidence, run_key: str = "") -> None:
    folder = context.workspace.run_stage(run_key or found.run_key, "evaluate")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evidence.json").write_text(json.dumps(found.to_json()))


def test_the_newest_judgement_of_another_run(context: Any) -> None:
    assert judged.newest_judged(context, ENTRIES) == (NEW.run_key, NEW)
    assert judged.newest_judged(context, ()) == ("", None)
    context.run_key = NEW.run_key
    assert judged.newest_judged(context, ENTRIES) == (OLD.run_key, OLD)
    assert judged.judged_evidence(context, NEW.run_key) == NEW
    assert judged.judged_evidence(context, "never") is None


def test_only_what_the_ledger_names_is_believed(context: Any) -> None:
    """A run that was evaluated again has other evidence than it was judged on."""
    write(context, evidence("2026-11-19-b"), NEW.run_key)
    assert judged.newest_judged(context, ENTRIES) == (OLD.run_key, OLD)


def test_the_registry_keeps_what_the_run_has_lost(
    context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (context.workspace.run_stage(NEW.run_key, "evaluate") / "evidence.json").unlink()
    monkeypatch.setattr(registry, "has_version", lambda _, version: version == 3)
    monkeypatch.setattr(version_files, "version_folder", lambda *_: tmp_path)
    monkeypatch.setattr(version_files, "version_evidence", lambda _: NEW)
    assert judged.newest_judged(context, ENTRIES) == (NEW.run_key, NEW)


def test_the_evidence_of_this_run_is_read_once_it_is_made(made: Made) -> None:
    night = made.context("2026-11-20")
    with pytest.raises(MissingInputError, match="stage evaluate"):
        judged.read_evidence(night)
    own = evidence(night.run_key)
    made.evaluated(own)
    assert judged.read_evidence(night) == own
    path = made.workspace.run_stage(own.run_key, "evaluate") / "evidence.json"
    path.write_text(path.read_text().replace("delight", "delighT"))
    with pytest.raises(DamagedError, match=r"evidence\.json"):
        judged.read_evidence(night)
