"""What commands say of wrong parameters and settings, and how they show what others wrote."""

from __future__ import annotations

import json
import logging
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.settings.load import OWN_VARIABLES
from tests.deployment import ROOT, SETTINGS

NIGHT = "2026-11-20"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mrlm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run the program in this process, in a folder with settings: code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRLM_SETTINGS", "mrlm.toml")
    (tmp_path / "mrlm.toml").write_text(SETTINGS)
    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGHUP)}
    handlers, propagate = logging.getLogger("mrlm").handlers[:], logging.getLogger("mrlm").propagate

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mrlm", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return int(ended.value.code or 0), printed.out, printed.err

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)
    logging.getLogger("mrlm").handlers[:] = handlers
    logging.getLogger("mrlm").propagate = propagate


def one_sentence(error: str) -> str:
    """The one line that a command's log has."""
    (line,) = error.splitlines()
    assert len(line) < 1000
    return line


@pytest.mark.parametrize(
    "weights",
    [
        '{"delight": NaN}',
        '{"delight": Infinity}',
        '{"delight": 1e999}',
        '{"delight": -1, "like": 2}',
        '{"delight": true}',
        '{"delight": "1"}',
        '{"delight": 0}',
        "{}",
        "[" * 5000,
        '{"delight": ' + "1" * 5000 + "}",
        '{"delight": 1' + " " * 2**20 + "}",
        '{"delight": {"like": 1}}',
        '{"<script>\x1b[31m": 1}',
    ],
    ids=range(13),
)
def test_weights_that_are_none_are_refused_in_one_sentence(mrlm: Command, weights: str) -> None:
    code, _, error = mrlm("night", NIGHT, "--weights", weights)
    assert code == 10
    assert "--weights" in one_sentence(error)
    assert "\x1b" not in error


def test_usable_weights_are_taken(mrlm: Command) -> None:
    # The next thing that is wrong is that no log has arrived.
    _, _, error = mrlm("night", NIGHT, "--weights", '{"delight": 1, "like": 0.25}')
    assert "inputs.impressions.path" in error


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[gate]", "[tuning.weights]\ndelight = nan\n[gate]", "tuning.weights.delight"),
        ("[gate]", "[tuning.weights]\ndelight = -0.5\n[gate]", "tuning.weights.delight"),
        ("[gate]", "[tuning.weights]\ndelight = 0\n[gate]", "tuning.weights"),
        ("[tuning]", "[tuning]\nmax_kl = inf", "tuning.max_kl: should be a finite number"),
        ("[gate]", "[gate]\nlock_seconds = inf", "gate.lock_seconds: should be a finite number"),
        ("[gate]", "[gate]\npower_gains = [nan]", "gate.power_gains entry 1"),
        ("[behaviour]", "[behaviour]\nlearning_rate = inf", "behaviour.learning_rate"),
        ("[learning]", "[learning]\ntemperature = inf", "learning.temperature"),
        ("[validation]", "[validation]\nrow_count_ratio = [0.5, inf]", "row_count_ratio entry 2"),
        ("window_nights = 1", "margin = nan", "objectives entry 1.margin"),
        ("threshold = 4.0", "threshold = inf", "objectives entry 2.threshold"),
    ],
)
def test_numbers_that_are_none_are_refused_in_settings(
    mrlm: Command, old: str, new: str, says: str
) -> None:
    Path("mrlm.toml").write_text(SETTINGS.replace(old, new, 1))
    code, _, error = mrlm("status")
    assert code == 10
    line = one_sentence(error)
    assert "mrlm.toml: " in line
    assert says in line


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("folds = 2", "foldz = 2", ["behaviour.foldz", "did you mean folds?", "hidden", "dropout"]),
        ("[behaviour]", "[behavior]", ["behavior", "did you mean behaviour?", "objectives, "]),
        (
            'transform = "at_least"',
            'tranform = "at_least"',
            ["objectives entry 2.tranform", "did you mean transform?", "window_nights"],
        ),
        ('history_objective = "like"\n', "", ["state.history_objective: is missing"]),
        ("tune_nights = 1", "tune_nights = 0", ["split.tune_nights", "1", "and is 0"]),
        ("epochs = 2", 'epochs = "many"', ["behaviour.epochs", "integer", "'many'"]),
        ('encoder = "hashing"', 'encoder = "bert"', ["embedding.encoder", "'transformer' or"]),
        ("[split]", "[split", ["no TOML", "line"]),
        ('truth_path = "raw/truth/dt={night}.parquet"', "truth_path = 3", ["truth_path: "]),
        ('workspace = "workspace"', "workspace = 3", ["workspace: "]),
        ('role = "north_star"', "", ["exactly one must have role"]),
        (
            'candidate_propensities = "pool_p"',
            'candidate_propensity = "pool_p"',
            [
                "inputs.impressions.columns.candidate_propensity: there is no such column",
                "did you mean candidate_propensities or propensity",
                "the table impressions has candidate_propensities, candidates, context",
            ],
        ),
        (
            'columns = {item_id = "sku"',
            'columns = {titel = "t", item_id = "sku"',
            ["inputs.items.columns.titel: there is no such column", "the table items has"],
        ),
        (
            "[validation]",
            '[ingestion]\ntime_zone = "Asia/Shangai"\n[validation]',
            ["ingestion.time_zone: there is no time zone 'Asia/Shangai'; did you mean", "Shanghai"],
        ),
        (
            "[validation]",
            '[ingestion]\nnight_starts = "24:00"\n[validation]',
            ["ingestion.night_starts: ", "and is '24:00'"],
        ),
        (
            "[validation]",
            '[spark.config]\n"spark.sql.session.timeZone" = "Asia/Shanghai"\n[validation]',
            ["spark.config: the session's time zone is always UTC", "ingestion.time_zone"],
        ),
        (
            "[validation]",
            "[ingestion.screening]\nvalue_limits = {rating = [5.0, 1.0]}\n[validation]",
            ["ingestion.screening.value_limits: the limits of 'rating'", "5.0 > 1.0"],
        ),
        ('workspace = "workspace"', 'workspaces = "w"', ["did you mean workspace?", "inputs, "]),
    ],
)
def test_a_wrong_setting_is_a_sentence_with_what_is_valid(
    mrlm: Command, old: str, new: str, says: list[str]
) -> None:
    Path("mrlm.toml").write_text(SETTINGS.replace(old, new, 1))
    code, _, error = mrlm("status")
    assert code == 10
    assert "pydantic" not in error
    assert "validation error" not in error
    for part in ["mrlm.toml: ", *says]:
        assert part in error


def test_every_wrong_setting_has_its_own_line_and_names_where_it_stands(
    mrlm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mrlm.toml").write_text(SETTINGS.replace("folds = 2", "foldz = 2\nhidden = 0"))
    monkeypatch.setenv("MRLM_SPLIT__GATE_NIGHTS", "none")
    code, _, error = mrlm("status")
    assert code == 10
    lines = error.splitlines()
    assert len(lines) == 3
    assert sum("mrlm.toml: behaviour." in line for line in lines) == 2
    assert "the environment variable MRLM_SPLIT__GATE_NIGHTS: split.gate_nights" in error
    monkeypatch.setenv("MRLM_SPLITT__GATE_NIGHTS", "1")
    assert "did you mean split?" in mrlm("status")[2]


def test_columns_of_the_settings_may_be_those_of_their_fields(mrlm: Command) -> None:
    fields = 'text_fields = ["title", "plot"]\nattribute_fields = ["year"]\n'
    columns = 'columns = {title = "t", year = "y", item_id = "sku"'
    settings = SETTINGS.replace('text_fields = ["text"]\n', fields)
    Path("mrlm.toml").write_text(settings.replace('columns = {item_id = "sku"', columns))
    assert mrlm("status")[0] == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("MRLM_WORKSPCE", "did you mean MRLM_WORKSPACE"),
        ("MRLM_SPLIT_GATE_NIGHTS", "did you mean MRLM_SPLIT__GATE_NIGHTS"),
        ("MRLM_USER_KEYS", "did you mean MRLM_USER_KEY"),
        ("mrlm_seeed", "did you mean MRLM_SEED"),
        ("MRLM_SPLIT__GATE_NIGHT", "did you mean gate_nights"),
    ],
)
def test_a_variable_that_names_no_setting_is_refused(
    mrlm: Command, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.setenv(name, "3")
    code, _, error = mrlm("status")
    assert code == 10
    assert f"the environment variable {name}: " in one_sentence(error)
    assert "there is no such setting" in error
    assert says in error


def test_variables_that_the_program_reads_itself_are_none_of_the_settings(
    mrlm: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the code reads are in the list, and the key may lie where the settings say."""
    read = set()
    for folder in ("mrlm", "pipelines", "spark_jobs", "dags", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            if ".peers" not in path.parts:
                read |= set(re.findall(r"[\"'](MRLM_[A-Z]+(?:_[A-Z]+)*)[\"']", path.read_text()))
    assert read == OWN_VARIABLES
    for name in read - {"MRLM_SETTINGS"}:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("MRLM_KEY_OF_2026", "secret")
    assert mrlm("status")[0] == 10
    for key in ("[ingestion]\nuser_key_variable", "[serving]\nkey_variable"):
        own_key = f'{key} = "MRLM_KEY_OF_2026"\n\n[validation]'
        Path("mrlm.toml").write_text(SETTINGS.replace("[validation]", own_key))
        assert mrlm("status")[0] == 0


@pytest.mark.parametrize(
    "key", ["--settings=x", "-x", "", "a b", "k" * 201, "k" * 2**20, "<b>\x1b", "\u202ea", "a\n"]
)
@pytest.mark.parametrize(
    "command", [("review",), ("decide", "--actor=A", "--reason=b", "--reject")]
)
def test_run_keys_have_a_form(mrlm: Command, command: tuple[str, ...], key: str) -> None:
    code, _, error = mrlm(*command, "--", key)
    assert code == 10
    assert "run key" in one_sentence(error)
    assert "letters, digits" in error
    assert "\x1b" not in error
    assert "\u202e" not in error


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--actor", "A" * 201),
        ("--actor", "\x1b[2J"),
        ("--actor", "two\nlines"),
        ("--reason", "r" * 2**20),
        ("--reason", "\u202etxt"),
        ("--reason", "bell\x07"),
    ],
)
@pytest.mark.parametrize("command", ["decide", "rollback"])
def test_actors_and_reasons_are_one_short_line(
    mrlm: Command, command: str, option: str, text: str
) -> None:
    given = {"--actor": "Ann", "--reason": "because", option: text}
    options = [part for pair in given.items() for part in pair]
    rest = ["--approve", "--", f"{NIGHT}-abc"] if command == "decide" else []
    code, _, error = mrlm(command, *options, *rest)
    assert code == 10
    assert option in one_sentence(error)
    assert "\x1b" not in error
    assert "\u202e" not in error


@pytest.mark.parametrize("wait", ["nan", "inf", "-1"])
def test_waits_are_numbers(mrlm: Command, wait: str) -> None:
    code, _, error = mrlm("night", NIGHT, f"--wait={wait}")
    assert code == 10
    assert "--wait" in one_sentence(error)


@pytest.mark.parametrize("night", ["2026-02-30", "--settings=x", "\u0662026-11-20", "x" * 2**20])
def test_nights_are_dates(mrlm: Command, night: str) -> None:
    code, _, error = mrlm("night", "--", night)
    assert code == 10
    assert "is not a date like 2026-11-20" in one_sentence(error)


EVIL = "\x1b]0;owned\x07\x1b[2J[/] [bold red]x[/] \u202etxt.exe\u2028end"


def test_texts_of_others_do_not_reach_the_terminal(mrlm: Command) -> None:
    from pipelines.contract.context import NightContext
    from pipelines.contract.workspace import Workspace
    from pipelines.settings.load import load_settings

    settings = load_settings()
    context = NightContext(NIGHT, settings, Workspace(settings.workspace))
    (context.workspace.lake / NIGHT).mkdir(parents=True)
    closing = context.workspace.runs / context.run_key / "closing.json"
    closing.parent.mkdir(parents=True)
    reason = EVIL + "y" * 2**20
    closing.write_text(
        json.dumps(
            {"night": NIGHT, "run_key": context.run_key, "verdict": "refused", "reason": reason}
        )
    )
    for command in ("status", "summary"):
        code, out, error = mrlm(command)
        assert code == 0
        assert NIGHT in out
        assert "[/] [bold red]x[/]" in out
        assert "\\u202etxt.exe" in out
        assert len(out) < 20_000
        for hidden in "\x1b\x07\u202e\u2028":
            assert hidden not in out + error
    assert json.loads(Path("workspace/summary.json").read_text())["nights"][0]["reason"] == reason


def test_a_log_line_cannot_be_forged(mrlm: Command) -> None:
    name = 'x\x1b[31m\n2026-11-20T00:00:00Z INFO fine\n{"verdict": "promoted"}'
    code, _, error = mrlm("status", "--settings", name)
    assert code == 10
    assert "\x1b" not in error
    first, *others = error.splitlines()
    assert "no settings at" in first
    assert others
    assert all(line.startswith("  ") for line in others)


def test_without_history_the_command_and_its_nights_are_named(mrlm: Command) -> None:
    code, _, error = mrlm("bootstrap", "--night", NIGHT)
    assert code == 10
    assert f"'mrlm history 2026-11-18 {NIGHT}'" in one_sentence(error)
    code, out, _ = mrlm("status")
    assert code == 0
    assert "0 of the 3 nights" in out
