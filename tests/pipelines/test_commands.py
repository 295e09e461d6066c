from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.care.cleaning import clean
from pipelines.cli import app
from pipelines.commands.approvers import require_approver
from pipelines.commands.promotions import open_page
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.running.notify import Event, notify
from pipelines.settings.load import load_settings
from pipelines.settings.people import Notify
from pipelines.stages.tune_weights import ROWS
from tests.deployment import ROOT, SETTINGS

EVENT = Event("refused", "2026-11-20", "2026-11-20-abc", "not better")


def mrlm(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    environment = {
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
        "MRLM_USER_KEY": "a key for the tests",
    }
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nothing"], 2, "No such command"),
        (["stage", "nothing", "--night", "2026-11-20"], 2, "the stages are"),
        (["night", "2026-11-20"], 10, "write one"),
        (["night", "tomorrow", "--settings", "mrlm.toml"], 10, "is not a date"),
        (["night", "2026-11-20", "--settings", "mrlm.toml"], 10, "inputs.impressions.path"),
        (["stage", "gate", "--night", "2026-11-20", "--settings", "mrlm.toml"], 10, "first"),
        (
            ["night", "2026-11-20", "--settings", "mrlm.toml", "--weights", '{"x": 1}'],
            10,
            "JSON object over the objectives",
        ),
    ],
)
def test_errors_say_what_to_do_and_exit_codes_say_whether_to_retry(
    tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    if "--settings" in arguments:
        (tmp_path / "mrlm.toml").write_text(SETTINGS)
    done = mrlm(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "mrlm.toml").write_text(SETTINGS.replace("folds = 2", "foldz = 2"))
    done = mrlm("status", "--settings", "mrlm.toml", cwd=tmp_path)
    assert done.returncode == 10
    assert "behaviour.foldz" in done.stderr


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mrlm.toml").write_text(SETTINGS)
    monkeypatch.setenv("MRLM_SPARK__MASTER", "local[1]")
    monkeypatch.setenv("MRLM_BEHAVIOUR__EPOCHS", "7")
    settings = load_settings(tmp_path / "mrlm.toml")
    assert settings.spark.master == "local[1]"
    assert settings.behaviour.epochs == 7
    assert settings.behaviour.folds == 2


def test_two_north_stars_are_refused(tmp_path: Path) -> None:
    twice = SETTINGS.replace('name = "like"', 'name = "like"\nrole = "north_star"')
    (tmp_path / "mrlm.toml").write_text(twice)
    with pytest.raises(ValueError, match="exactly one"):
        load_settings(tmp_path / "mrlm.toml")


def test_the_hook_gets_the_event_and_its_failure_is_no_failure(tmp_path: Path) -> None:
    target = tmp_path / "event.json"
    script = f"import sys; open({str(target)!r}, 'w').write(sys.stdin.read())"
    notify(EVENT, Notify(command=[sys.executable, "-c", script]))
    assert json.loads(target.read_text())["reason"] == "not better"
    notify(EVENT, Notify(command=["/nowhere/hook"], webhook="ftp://nowhere"))


def test_clean_keeps_what_the_ledger_names(tmp_path: Path) -> None:
    (tmp_path / "mrlm.toml").write_text(SETTINGS)
    settings = load_settings(tmp_path / "mrlm.toml")
    workspace = Workspace(settings.workspace)
    for day in range(1, 6):
        night = f"2026-11-{day:02d}"
        (workspace.lake / night / "ingest").mkdir(parents=True)
        (workspace.runs / f"{night}-aaaa" / "evaluate").mkdir(parents=True)
    from mrlm.promotion.record.ledger import Entry, Ledger

    workspace.registry.mkdir()
    Ledger(workspace.registry / "ledger.jsonl").append(
        Entry("judged", "2026-11-01-aaaa", 1, "rule", "2026-11-01T00:00:00", "because")
    )
    (workspace.lake / "2026-11-05" / ".ingest.staging").mkdir()
    for run in ("2026-11-01-aaaa", "2026-11-05-aaaa"):
        (workspace.runs / run / "tune_weights" / ROWS).mkdir(parents=True)
    removed = clean(settings, workspace, keep=2)
    assert sorted(removed) == [
        "lake/2026-11-05/.ingest.staging",
        "runs/2026-11-01-aaaa/tune_weights/rows",
        "runs/2026-11-02-aaaa",
        "runs/2026-11-03-aaaa",
    ]
    with pytest.raises(ValueError, match="1 or more"):
        clean(settings, workspace, keep=0)


def test_the_review_page_is_opened_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with pytest.raises(DataError, match=r"index\.html is not there"):
        open_page(tmp_path)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<html>")
    open_page(tmp_path)
    assert opened == [(tmp_path / "report" / "index.html").resolve().as_uri()]


@pytest.mark.parametrize(
    "command",
    [
        ("rollback",),
        ("anchor", "set", "1"),
        ("decide", "2026-11-20-abc", "--approve"),
        ("decide", "2026-11-20-abc", "--reject"),
    ],
)
def test_only_those_whom_the_settings_name_decide(
    tmp_path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mrlm.toml").write_text(SETTINGS + '\n[registry]\napprovers = ["ann", "carol"]\n')
    by = ("--actor", "bob", "--reason", "because", "--settings", "mrlm.toml")
    with pytest.raises(DataError, match=r"bob may not decide .* names ann, carol"):
        app([*command, *by], standalone_mode=False)
    require_approver(load_settings(tmp_path / "mrlm.toml"), "carol")


def test_who_may_decide_changes_no_result(tmp_path: Path) -> None:
    prints = set()
    for text in (SETTINGS, SETTINGS + '\n[registry]\napprovers = ["ann"]\n'):
        (tmp_path / "mrlm.toml").write_text(text)
        settings = load_settings(tmp_path / "mrlm.toml")
        prints.add((settings.fingerprint(), settings.fingerprint("registry")))
    assert len(prints) == 1


def test_everybody_decides_where_nobody_is_named(tmp_path: Path) -> None:
    (tmp_path / "mrlm.toml").write_text(SETTINGS)
    require_approver(load_settings(tmp_path / "mrlm.toml"), "bob")
