"""``mrlm logs`` as it is typed: what it prints, writes and ends with, and a night after it."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from pipelines.cli import app
from pipelines.contract.context import NightContext
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import EXIT_DATA, DataError
from pipelines.settings.load import load_settings

NIGHTS = [f"2019-11-{d}" for d in (24, 25, 26, 27, 28)]


def mrlm(*command: str) -> int:
    try:
        code = app([*command], standalone_mode=False)
    except typer.Exit as error:
        code = error.exit_code
    return code or 0


def write_bandit(folder: Path, rows_a_night: int) -> None:
    """The raw form of the Open Bandit data: no requests, users, candidates; clicks in a column."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    head = ["", "timestamp", "item_id", "position", "click", "propensity_score"]
    head += [*(f"user_feature_{k}" for k in range(4)), "user-item_affinity_0"]
    with (folder / "all.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(head)
        for i in range(rows_a_night * len(NIGHTS)):
            night, second = NIGHTS[i // rows_a_night], (i % rows_a_night) * 80_000 // rows_a_night
            clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
            item = int(rng.integers(0, 6))
            user = [f"{rng.integers(0, 8):032x}", f"{rng.integers(0, 8):032x}", "f" * 32, "e" * 32]
            clicked = int(rng.random() < (0.35 if item < 2 else 0.1))
            stamp = f"{night} {clock}.{i:06d}+00:00"
            rows.writerow([i, stamp, item, i % 3 + 1, clicked, 1 / 6, *user, 0.0])
    with (folder / "item_context.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["", "item_id", "item_feature_0", "item_feature_1"])
        rows.writerows([k, k, k / 7, f"{k % 3:032x}"] for k in range(6))


def test_settings_are_written_once_and_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bandit(tmp_path / "log", 40)
    out = tmp_path / "mrlm.toml"
    assert mrlm("logs", "check", str(tmp_path / "log"), "--out", str(out)) == 0
    told = capsys.readouterr().out
    assert "A night can be evaluated from this log." in told
    assert "MISSING impressions: no candidates" in told
    settings = load_settings(out)
    assert settings.inputs.impressions.whole
    assert str(tmp_path) not in out.read_text()
    with pytest.raises(DataError, match="is there already"):
        mrlm("logs", "check", str(tmp_path / "log"), "--out", str(out))
    # Without --out the same text is shown.
    assert mrlm("logs", "check", str(tmp_path / "log")) == 0
    assert 'propensity = "propensity_score"' in capsys.readouterr().out


def test_a_log_of_which_no_night_can_be_evaluated_ends_with_10(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["timestamp,eventType,contentId,personId"]
    rows += [f"{1465413032 + i},{'VIEW' if i % 2 else 'LIKE'},{i % 7},{i % 5}" for i in range(50)]
    (tmp_path / "events.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "mrlm.toml"
    code = mrlm("logs", "check", str(tmp_path / "events.csv"), "--out", str(out))
    assert code == EXIT_DATA
    assert "No night can be evaluated from this log" in capsys.readouterr().out
    load_settings(out)
    with pytest.raises(DataError, match="no file or folder"):
        mrlm("logs", "check", str(tmp_path / "nowhere"))


def test_an_experience_log_is_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {"decision_id": "d0", "t": 1574553600.0, "chosen": 0, "propensity": 0.5}
    row = {"event": "decision", "context": {}, "candidates": [["a", {}], ["b", {}]]}
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps(row | {"record": record}) + "\n")
    assert mrlm("logs", "convert", str(log), str(tmp_path / "out")) == 0
    assert "1 decisions and 0 resolutions" in capsys.readouterr().out
    with pytest.raises(DataError, match="not empty"):
        mrlm("logs", "convert", str(log), str(tmp_path / "out"))
    with pytest.raises(DataError, match="no time zone"):
        mrlm("logs", "convert", str(log), str(tmp_path / "x"), "--time-zone", "Mars/Olympus")
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(DataError, match="holds no decision"):
        mrlm("logs", "convert", str(tmp_path / "other.jsonl"), str(tmp_path / "y"))


def decided(rows_a_night: int) -> Iterator[tuple[str, int, datetime, list[int], float]]:
    """Decisions of all nights: id, index, time, actions with the chosen one first, its reward."""
    rng = np.random.default_rng(8)
    for i in range(rows_a_night * len(NIGHTS)):
        night, second = NIGHTS[i // rows_a_night], (i % rows_a_night) * 80_000 // rows_a_night
        at = datetime.fromisoformat(f"{night}T00:00:00+00:00") + timedelta(seconds=second)
        order = [int(a) for a in rng.permutation(6)[:4]]
        yield f"d{i}", i, at, order, float(rng.random() < (0.35 if order[0] < 2 else 0.1))


def action(k: int) -> dict[str, Any]:
    return {"_tag": f"m{k}", "f": {"kind": ["film", "song", "book"][k % 3], "rank": k}}


def dsjson_line(id_: str, at: datetime, order: list[int], reward: float) -> dict[str, Any]:
    places = sorted(order)
    return {
        "_label_cost": -reward,
        "_label_probability": 0.25,
        "_label_Action": places.index(order[0]) + 1,
        "_labelIndex": places.index(order[0]),
        "Version": "1",
        "EventId": id_,
        "Timestamp": at.isoformat().replace("+00:00", "Z"),
        "a": [places.index(k) + 1 for k in order],
        "c": {"device": "phone", "_multi": [action(k) for k in places]},
        "p": [0.25] * 4,
    }


def write_dsjson(folder: Path, rows_a_night: int) -> None:
    """VW's dsjson, all nights in one file."""
    folder.mkdir(parents=True)
    rows = [dsjson_line(id_, at, order, r) for id_, _, at, order, r in decided(rows_a_night)]
    (folder / "log.dsjson").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_personalizer(folder: Path, rows_a_night: int) -> None:
    """The export of Personalizer: dsjson in a file a day, with the model's name."""
    for id_, _, at, order, reward in decided(rows_a_night):
        file = folder / f"{at:%Y/%m/%d}_0.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        row = dsjson_line(id_, at, order, reward) | {"VWState": {"m": "model/1"}, "o": []}
        with file.open("a") as out:
            out.write(json.dumps(row) + "\n")


def write_experience(folder: Path, rows_a_night: int) -> None:
    """The experience log of gittins, converted by the command."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.parent / "experience.jsonl"
    with log.open("w") as out:
        for id_, _, at, order, reward in decided(rows_a_night):
            record = {
                "decision_id": id_,
                "t": at.timestamp(),
                "chosen": sorted(order).index(order[0]),
                "propensity": 0.25,
            }
            candidates = [[f"m{k}", action(k)["f"]] for k in sorted(order)]
            row = {"event": "decision", "context": {}, "candidates": candidates, "record": record}
            out.write(json.dumps(row) + "\n")
            told = {"event": "resolution", "kind": "rewarded", "decision_id": id_}
            out.write(json.dumps(told | {"reward": reward}) + "\n")
    assert mrlm("logs", "convert", str(log), str(folder)) == 0


LOGS = {
    "Open Bandit": (write_bandit, "click"),
    "VW dsjson": (write_dsjson, "reward"),
    "Personalizer": (write_personalizer, "reward"),
    "gittins": (write_experience, "reward"),
}


@pytest.mark.long
@pytest.mark.night
@pytest.mark.spark
@pytest.mark.parametrize("log", LOGS)
def test_a_night_is_judged_by_the_proposed_settings(tmp_path: Path, log: str) -> None:
    write, event = LOGS[log]
    write(tmp_path / "log", 600)
    out = tmp_path / "mrlm.toml"
    assert mrlm("logs", "check", str(tmp_path / "log"), "--out", str(out)) == 0
    proposed = out.read_text()
    changed = proposed + '\n[learning]\nlearners = ["policy_gradient"]\n'
    out.write_text(changed)
    lines = difflib.ndiff(proposed.splitlines(), changed.splitlines())
    assert sum(line.startswith("+ ") and line != "+ " for line in lines) <= 3
    here = ("--settings", str(out))
    assert mrlm("history", NIGHTS[0], NIGHTS[3], *here) == 0
    assert mrlm("bootstrap", "--night", NIGHTS[3], *here) == 0
    assert mrlm("night", NIGHTS[4], *here) == 0
    settings = load_settings(out)
    context = NightContext(NIGHTS[4], settings, Workspace(settings.workspace))
    counts = context.lake("ingest").require().counts
    assert counts["impressions"]["clean"] == 600
    assert counts["feedback"]["clean"] == counts["events"][event]["attributed"] > 50
    assert context.run("evaluate").require().counts
