"""Texts of a log, of settings and of people that would be markup, options or commands elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import app
from pipelines.failures.errors import DataError
from tests.deployment import NIGHTS, RENAMED, Deployment, renamed
from tests.deployment import SETTINGS as DEPLOYMENT
from tests.hostile import HOSTILE, LONG, Elements
from tests.latent_files import write_latent

STOPPED, NIGHT = "2026-11-19", "2026-11-20"
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
[embedding]
encoder = "hashing"
[[objectives]]
name = "click"
source = "feedback"
role = "north_star"
event = %s
transform = "any"
missing = 0.0
"""


def _write(
    folder: Path, texts: tuple[str, ...], declared: str, night: str = NIGHT, share: float = 0.5
) -> Path:
    """A deployment in whose raw night every text of a logger is one of ``texts``."""

    def lines(table: str, rows: list[dict[str, Any]]) -> None:
        place = folder / table / night
        place.mkdir(parents=True)
        (place / "part-0.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows))

    items = [f"{n} {text}"[:300] for n, text in enumerate(texts)]
    lines(
        "items",
        [
            {"item_id": i, "text": t, "category": json.dumps([t[:300]]), "provider": t[:300]}
            for i, t in zip(items, texts, strict=True)
        ],
    )
    shown, events = [], []
    for n, text in enumerate(texts):
        request = f"r{n} {text}"[:300]
        others = [items[n], items[n - 1]]
        shown.append(
            {
                "request_id": request,
                "ts": f"{night}T10:00:00Z",
                "user_id": text,
                "scene": text,
                "position": 1,
                "item_id": items[n],
                "propensity": 0.5,
                "candidates": others,
                "candidate_propensities": [share, share],
                "policy_id": text,
                "session_id": text,
                "context": {text[:300]: text},
            }
        )
        for event in (declared, text):
            events.append(
                {
                    "event_id": f"{n} {event}"[:300],
                    "request_id": request,
                    "item_id": items[n],
                    "ts": f"{night}T10:01:00Z",
                    "event": event,
                    "value": 1.0,
                }
            )
    # Kept as raw text in quarantine.
    shown += [{**shown[0], "position": text[:300]} for text in texts]
    lines("impressions", shown)
    lines("feedback", events)
    path = folder / "mrlm.toml"
    path.write_text(SETTINGS % json.dumps(declared))
    return path


def mrlm(*arguments: str) -> None:
    app(list(arguments), standalone_mode=False)


def _pages(folder: Path) -> Iterator[tuple[str, Elements]]:
    docs = folder / "workspace" / "lake" / NIGHT / "validate" / "data_docs"
    for path in sorted(docs.rglob("*.html")):
        # Folders are named by the time of the run and by an identifier.
        yield path.name if path.parent == docs else path.parts[-4], Elements(path.read_text())


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night whose texts are hostile: its data stages."""
    folder = tmp_path_factory.mktemp("hostile")
    declared = "add\" <b onclick='x'>&amp;$v__0"
    settings = str(_write(folder, (*HOSTILE, "x<b>" * (LONG // 4)), declared))
    mrlm("history", "--settings", settings, "--", NIGHT, NIGHT)
    return folder


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exception]:
    """The same night of harmless texts, after one that is stopped, and how the command ended."""
    folder = tmp_path_factory.mktemp("harmless")
    _write(folder, ("early", "earlier"), "bought", STOPPED, share=0.25)
    words = tuple(f"word{n}" for n in range(len(HOSTILE) + 1))
    settings = str(_write(folder, words, "bought"))
    with pytest.raises(DataError) as ended:
        mrlm("history", "--settings", settings, "--", STOPPED, NIGHT)
    return folder, ended.value


@pytest.mark.spark
def test_history_does_every_night_and_tells_of_those_that_were_stopped(
    harmless: tuple[Path, Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ended = harmless
    assert "1 of 2 nights were stopped" in str(ended)
    assert f"night {STOPPED} is stopped by validation" in str(ended)
    mrlm("status", "--settings", str(folder / "mrlm.toml"))
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert "stopped: " in first
    assert "history: " in second
    for stage in ("validate", "embed"):
        assert (folder / "workspace" / "lake" / NIGHT / stage / "manifest.json").is_file()
    assert (folder / "workspace" / "lake" / NIGHT / "build_log" / "manifest.json").is_file()


@pytest.mark.spark
def test_data_docs_of_a_hostile_log_have_the_elements_of_a_harmless_one(
    hostile: Path, harmless: tuple[Path, Exception]
) -> None:
    found, usual = dict(_pages(hostile)), dict(_pages(harmless[0]))
    assert len(found) > 10
    assert found.keys() == usual.keys()
    for name, page in found.items():
        assert page.tags == usual[name].tags, name
        assert page.runs == usual[name].runs, name
        assert "\x1b" not in page.text
        assert "\u202e" not in page.text
    told = "".join(page.text for page in found.values())
    # No row of the log is told: pages hold numbers of rows, and the settings' own texts.
    assert "script＞" not in told
    assert f"({LONG} characters)" not in told
    docs = hostile / "workspace" / "lake" / NIGHT / "validate" / "data_docs"
    rules = Elements((docs / "expectations" / "feedback_statistics.html").read_text())
    assert "＜b onclick" in rules.text


@pytest.mark.spark
def test_long_texts_are_short_in_pages_and_whole_in_the_data(hostile: Path) -> None:
    import pyarrow.parquet as pq

    lake = hostile / "workspace" / "lake" / NIGHT
    assert max(p.stat().st_size for p in (lake / "validate").rglob("*.html")) < 300_000
    clean = pq.read_table(lake / "ingest" / "impressions")
    assert max(map(len, clean["policy_id"].to_pylist())) == LONG
    # Trimmed, and else as they were logged.
    assert {t.strip() for t in HOSTILE} <= set(clean["scene"].to_pylist())


@pytest.mark.spark
def test_quarantine_shows_hostile_rows_on_lines_of_their_own(
    hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mrlm("quarantine", "--rows", "50", "--settings", str(hostile / "mrlm.toml"))
    out = capsys.readouterr().out
    assert "wrong_type" in out
    for hidden in "\x1b\x07\u202e\u2066\u2028":
        assert hidden not in out
    assert max(map(len, out.splitlines())) < 600


def _hostile_row(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row of the tiny deployment's log with hostile texts in place of its harmless ones."""
    markup, option = "<script>alert(1)</script>", "--settings=[x](javascript:alert(1))"
    for key in ("item_id", "request_id"):
        if key in row:
            row[key] = f"{markup}{row[key]}"
    if table == "impressions":
        row["candidates"] = [f"{markup}{c}" for c in row["candidates"]]
        row |= {"scene": HOSTILE[int(row["position"]) % len(HOSTILE)], "policy_id": option}
    elif table == "feedback":
        row["event"] = f"{row['event']} {EVENT}"
    else:
        row |= {"text": f"{HOSTILE[len(row['text']) % len(HOSTILE)]} {row['text']}"}
        row |= {"category": json.dumps([markup]), "provider": option}
    return row


EVENT = "$v__0 <img src=x onerror=alert(1)> [/]"


@pytest.mark.long
@pytest.mark.night
@pytest.mark.spark
def test_a_whole_night_of_hostile_texts_ends_in_pages_that_run_nothing(tmp_path: Path) -> None:
    """History, first champion and one judged night; then every page, the memo and the lists."""
    raw = tmp_path / "raw"
    write_latent(raw, users=120, nights=5, slots_per_user_night=6)
    for table in RENAMED:
        for path in sorted((raw / table).rglob("*.jsonl")):
            made = []
            for line in path.read_text().splitlines():
                # The log has dirt: rows that are broken stay as they are.
                with suppress(ValueError, TypeError, KeyError):
                    line = json.dumps(_hostile_row(table, json.loads(line)))
                made.append(renamed(table, line))
            path.write_text("".join(f"{line}\n" for line in made))
    settings = tmp_path / "mrlm.toml"
    events = re.sub(r'^(event = ")(\w+)"', rf'\1\2 {EVENT}"', DEPLOYMENT, flags=re.M)
    settings.write_text(events)
    deployment = Deployment(tmp_path, {})
    deployment.run("history", NIGHTS[0], NIGHTS[3])
    deployment.run("bootstrap", "--night", NIGHTS[3])
    deployment.run("night", NIGHTS[4])
    key = deployment.context(NIGHTS[4]).run_key
    printed = deployment.run("review", key) + deployment.run("status") + deployment.run("summary")
    workspace = tmp_path / "workspace"
    pages = [workspace / "runs" / key / "gate" / "report" / "index.html"]
    pages += (workspace / "lake" / NIGHTS[4] / "validate" / "data_docs").rglob("*.html")
    pages += (workspace / "registry" / "artifacts").rglob("*.html")
    assert len(pages) > 20
    assert "script" in pages[0].read_text()
    for page in pages:
        found = Elements(page.read_text())
        told = " ".join(found.runs)
        assert "alert(" not in told, page
        assert "javascript:" not in told, page
        assert "onerror" not in {name for _, names in found.tags for name in names}, page
    for hidden in "\x1b\x07\u202e\u2066\u2028":
        assert hidden not in printed
    lists = json.loads((workspace / "published" / f"{NIGHTS[4]}.json").read_text())
    assert lists["rows"] > 0
