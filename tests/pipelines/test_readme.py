"""What the READMEs and docs/logs.md claim, held against the program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from pydantic import BaseModel

from mrlm.bandit_log import Objective
from pipelines.cli import app
from pipelines.failures import errors
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings
from tests.deployment import ROOT

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
OWN_LOGS, MAP = ROOT / "docs" / "logs.md", ROOT / "docs" / "architecture.md"
PAGES = pytest.mark.parametrize("page", [ENGLISH, CHINESE, OWN_LOGS, MAP], ids=lambda p: p.name)
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def fenced(page: Path, language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.S | re.M)


def code(page: Path) -> list[str]:
    """Every line of code, fenced or indented, without comments, which are translated."""
    found, inside = [], False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            inside = not inside
        elif inside or line.startswith("    "):
            found.append(re.sub(r"\s+# .*", "", line).rstrip())
    # What 'make run' and 'make test' do is told in words beside them.
    return [re.sub(r"^(    make \w+) .*", r"\1", line) for line in found]


def tables(page: Path) -> list[list[list[str]]]:
    """The tables, row by row, cell by cell."""
    found: list[list[list[str]]] = []
    before = ""
    for line in page.read_text().splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]])
        before = line
    return found


def spans(text: str) -> list[str]:
    """What is in backticks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


def commands(page: Path) -> Iterator[list[str]]:
    """Every ``mrlm …`` in code or in backticks, as words."""
    text = page.read_text()
    for line in [*code(page), *spans(text)]:
        for found in re.findall(r"(?:^|\s)mrlm ([a-z].*)", line):
            yield found.split()


def test_both_readmes_have_the_same_code_tables_links_and_sections() -> None:
    assert code(ENGLISH) == code(CHINESE)
    one, two = tables(ENGLISH), tables(CHINESE)
    assert [[len(row) for row in t] for t in one] == [[len(row) for row in t] for t in two]
    for ours, theirs in zip(one, two, strict=True):
        for row, other in zip(ours, theirs, strict=True):
            assert spans(row[0]) == spans(other[0])
            assert set(spans(" ".join(row))) == set(spans(" ".join(other))), row
    texts = ENGLISH.read_text(), CHINESE.read_text()
    links = [set(re.findall(r"\]\(([^)]+)\)", t)) for t in texts]
    assert links[0] - {"README.zh-CN.md"} == links[1] - {"README.md"}
    levels = [re.findall(r"^(#+) ", re.sub(r"```.*?```", "", t, flags=re.S), re.M) for t in texts]
    assert levels[0] == levels[1]


@PAGES
def test_commands_and_their_options_exist(page: Path) -> None:
    for name, *words in commands(page):
        assert name in COMMANDS, (page.name, name)
        command = COMMANDS[name]
        alone = not words and getattr(command, "invoke_without_command", False)
        if hasattr(command, "commands") and not alone:
            # A group: its own commands have the options.
            assert words[0] in command.commands, (page.name, name, words)
            command = command.commands[words[0]]
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in known, (page.name, name, word)


def test_pages_name_some_commands() -> None:
    assert {"doctor", "history", "bootstrap", "night", "status", "review", "weights"} <= {
        c[0] for c in commands(ENGLISH)
    }


@PAGES
def test_settings_that_are_named_exist(page: Path) -> None:
    def exists(model: Any, steps: list[str]) -> bool:
        if not steps:
            return True
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return False
        field = model.model_fields.get(steps[0])
        return field is not None and exists(field.annotation, steps[1:])

    found = set()
    for span in spans(page.read_text()):
        for path in re.findall(r"(?<![\w/.])([a-z_]+(?:\.[a-z_]+)+)(?![\w(/])", span):
            steps = path.split(".")
            if steps[0] in Settings.model_fields and steps[-1] not in {"toml", "json", "py"}:
                found.add(path)
        found |= set(re.findall(r"^\[([a-z_.]+)\]$", span))
    for path in found:
        assert exists(Settings, path.split(".")), (page.name, path)
    assert found or page == MAP
    for section, field in re.findall(r"MRLM_([A-Z]+)__([A-Z_]+)", page.read_text()):
        assert exists(Settings, [section.lower(), field.lower()])


@PAGES
def test_files_that_are_linked_or_named_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("http") or (page.parent / target).exists(), target
    for anchor in re.findall(r"\]\((\S+?\.md)#([\w-]+)\)", text):
        headings = re.findall(r"^#+ (.*)$", (page.parent / anchor[0]).read_text(), re.M)
        assert anchor[1] in {h.lower().replace(" ", "-") for h in headings}
    rooms = r"(?:dags|docs|infra|pipelines|spark_jobs|mrlm|benchmarks)/[\w./-]*"
    for span in spans(text):
        for named in re.findall(rf"^{rooms}$", span):
            assert (ROOT / named).exists(), named


@PAGES
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w -]+):(?!=)", (ROOT / "Makefile").read_text(), re.M))
    known = {name for line in targets for name in line.split()}
    for name in re.findall(r"\bmake ([a-z]+(?:-[a-z]+)?)(?=[`\n]|  )", page.read_text()):
        assert name in known, name


def test_dags_are_those_of_the_folder() -> None:
    named = next(t for t in tables(ENGLISH) if t[0][0] == "DAG")
    files = {p.stem for p in (ROOT / "dags").glob("*.py")} - {"mrlm_tasks"}
    assert {spans(row[0])[0] for row in named[2:]} == files


def test_every_field_of_an_objective_is_told() -> None:
    told = next(t for t in tables(ENGLISH) if t[0] == ["field", "of", "says"])
    names = [name for row in told[2:] for name in spans(row[0])]
    assert sorted(names) == sorted(f.name for f in fields(Objective))
    for row in told[2:]:
        assert set(row[1].split(", ")) <= {"all", "feedback", "item", "list", "guardrail"}
    values = {f.name: str(f.type) for f in fields(Objective)}
    for name in ("source", "role", "transform"):
        row = next(r for r in told if spans(r[0]) == [name])
        choices = re.findall(r"'(\w+)'|\"(\w+)\"", values[name])
        assert {a or b for a, b in choices} <= set(spans(row[2])), name


def test_exit_codes_are_those_of_the_program() -> None:
    told = next(t for t in tables(MAP) if t[0] == ["code", "what", "Airflow"])
    codes = {v for n, v in vars(errors).items() if n.startswith("EXIT_")}
    assert {int(row[0]) for row in told[2:]} == {0, *codes}
    assert not codes & {0, 1, 99}
    assert f"exit code {errors.EXIT_DATA}" in ENGLISH.read_text()


def test_the_shortest_settings_are_whole_and_need_the_nights_that_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = fenced(ENGLISH, "toml")
    path = tmp_path / "mrlm.toml"
    path.write_text(text)
    settings = load_settings(path)
    assert [o.name for o in settings.objectives] == ["purchase", "click"]
    assert "four with\nthe settings above" in ENGLISH.read_text()
    app(["status", "--settings", str(path)], standalone_mode=False)
    assert "0 of the 4 nights" in capsys.readouterr().out
    app(["doctor", "--settings", str(path)], standalone_mode=False)
    told = capsys.readouterr().out
    for what in ("python", "java", "memory", "disk", "home", "user key", "model", "behaviour"):
        assert f"  {what} " in told


def test_the_contract_has_the_same_columns_in_both_places() -> None:
    brief = next(t for t in tables(ENGLISH) if t[0] == ["table", "a row is", "columns"])
    whole = next(t for t in tables(OWN_LOGS) if t[0] == ["table", "column", "form"])
    for name, _, columns in brief[2:]:
        short = [re.sub(r"\[\]|\{\}", "", c) for c in spans(columns)[0].split(", ")]
        long = [spans(r[1])[0] + "?" * r[1].endswith("?") for r in whole[2:] if r[0] == name]
        assert short == long


@pytest.fixture(scope="module")
def csv_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's night, ingested."""
    folder = tmp_path_factory.mktemp("csv")
    named = re.findall(r"^`(\w+)/2026-11-20/part-0.csv`$", OWN_LOGS.read_text(), re.M)
    for table, rows in zip(named, fenced(OWN_LOGS, "csv"), strict=True):
        place = folder / table / "2026-11-20"
        place.mkdir(parents=True)
        (place / "part-0.csv").write_text(rows)
    (settings,) = fenced(ENGLISH, "toml")
    settings = re.sub(r"^columns = .*\n", "", settings, flags=re.M).replace("/data/", "")
    settings = settings.replace('{night}"\n', '{night}"\nformat = "csv"\n')
    (folder / "mrlm.toml").write_text(settings)
    command = ["stage", "ingest", "--night", "2026-11-20", "--settings", str(folder / "mrlm.toml")]
    app(command, standalone_mode=False)
    return folder / "workspace" / "lake" / "2026-11-20" / "ingest"


@pytest.mark.spark
def test_the_csv_example_is_read_as_it_says(csv_night: Path) -> None:
    shown = pq.read_table(csv_night / "impressions").to_pylist()
    shown.sort(key=lambda r: (r["request_id"], r["position"]))
    # Nothing is cut off an identifier or a number that ends with the number of its place.
    assert [r["candidates"] for r in shown] == [
        ["film-1", "film-3", "film-2"],
        ["film-2", "film-3"],
        ["film-1", "film-2"],
    ]
    chances = [r["candidate_propensities"] for r in shown]
    assert chances == [[0.5, 0.2, 0.3], [0.6, 0.4], [0.75, 0.25]]
    assert [f"{r['ts']:%dT%H:%M}" for r in shown] == ["20T10:00", "20T10:00", "20T10:30"]
    assert [r["scene"] for r in shown] == ["home", "home", "default"]
    assert [r["context"] for r in shown] == [[("device", "phone")], None, None]
    events = pq.read_table(csv_night / "feedback").to_pylist()
    assert {(r["event"], r["value"]) for r in events} == {("click", 1.0), ("purchase", 12.5)}
    items = {r["item_id"]: r for r in pq.read_table(csv_night / "items").to_pylist()}
    assert items["film-1"]["text"] == "Alien, 1979"
    assert items["film-3"]["text"] == 'The "Thing"'
    assert items["film-1"]["categories"] == ["horror", "space"]
    assert items["film-2"]["attributes"] == [("year", 1985.0)]


@pytest.mark.spark
def test_the_pseudonym_is_the_one_of_the_example(
    csv_night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = fenced(OWN_LOGS, "python")
    room: dict[str, Any] = {}
    exec(example, room)  # noqa: S102 - this repository's own page
    users = set(pq.read_table(csv_night / "impressions")["user"].to_pylist())
    assert users == {room["pseudonym"]("anna"), room["pseudonym"]("bert")}
