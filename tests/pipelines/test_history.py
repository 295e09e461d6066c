"""A range of nights is read in one pass, and holds what its nights hold one by one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Stage
from pipelines.failures.errors import DataError
from pipelines.running import ahead
from pipelines.running.history import held_until_embedded, read_ahead, read_history
from pipelines.running.ingested_ahead import ingest_ahead
from pipelines.running.lease import holder_of_command, night_lease
from pipelines.running.night import closing_of
from pipelines.running.run_stage import run_stage
from pipelines.stages.ingest import STAGE, Ingest
from tests.deployment import NIGHTS, RENAMED, SETTINGS, Deployment, renamed
from tests.latent_files import write_latent
from tests.pipelines.in_process import Done, mrlm

pytestmark = pytest.mark.spark
RANGE = NIGHTS[:4]
STOPPED = NIGHTS[1]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose second night has propensities that do not add up."""
    folder = tmp_path_factory.mktemp("raw") / "raw"
    write_latent(folder, users=40, nights=len(RANGE), slots_per_user_night=4)
    for table in RENAMED:
        for path in sorted((folder / table).rglob("*.jsonl")):
            lines = [renamed(table, line) for line in path.read_text().splitlines()]
            if table == "impressions" and STOPPED in str(path):
                lines = [_halved(line) for line in lines]
            path.write_text("".join(f"{line}\n" for line in lines))
    return folder


def _halved(line: str) -> str:
    try:
        row = json.loads(line)
        return json.dumps({**row, "p": row["p"] / 2, "pool_p": [p / 2 for p in row["pool_p"]]})
    except (ValueError, KeyError, TypeError):
        return line


def deployed(raw: Path, folder: Path) -> Deployment:
    shutil.copytree(raw, folder / "raw")
    # So few rows are no night of a real log.
    (folder / "mrlm.toml").write_text(SETTINGS.replace("0.05\n", "0.05\nmin_rows = 1\n"))
    return Deployment(folder, {})


def history(made: Deployment, first: str, last: str, *options: str) -> Done:
    return mrlm("history", first, last, "--settings", str(made.settings_path), *options)


def manifest(made: Deployment, stage: str, night: str) -> Manifest:
    return made.context(night).lake(stage).manifest()  # type: ignore[return-value]


@pytest.fixture(scope="module")
def together(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployment, Done]:
    made = deployed(raw, tmp_path_factory.mktemp("together"))
    return made, history(made, RANGE[0], RANGE[-1])


def test_nights_of_one_pass_are_as_nights_one_by_one(
    raw: Path, together: tuple[Deployment, Done], tmp_path: Path
) -> None:
    made, done = together
    alone = deployed(raw, tmp_path)
    codes = [history(alone, night, night).code for night in RANGE[:2]]
    codes.append(history(alone, RANGE[2], RANGE[2], "--ahead", RANGE[3]).code)
    assert codes == [0, 10, 0]
    closed = [closing_of(alone.context(n)) for n in RANGE]
    assert [c and c.verdict for c in closed] == ["history", "stopped", "history", None]
    assert f"night={RANGE[3]}" in manifest(alone, "build_log", RANGE[3]).outputs
    assert done.code == 10
    assert f"1 of {len(RANGE)} nights were stopped" in done.err
    # Those after the stopped night were read in a second pass: its rows count as never delivered.
    assert [n for n in RANGE if f"nights in one pass, to {n}" in done.err] == [RANGE[-1]]
    assert done.err.count("nights in one pass") == 2
    for night in RANGE:
        for stage in ("ingest", "validate", "embed"):
            found, wanted = manifest(made, stage, night), manifest(alone, stage, night)
            assert found.outputs == wanted.outputs, (night, stage)
            assert found.fingerprint == wanted.fingerprint, (night, stage)
            assert found.stopped.split("The report")[0] == wanted.stopped.split("The report")[0]
        assert manifest(made, "ingest", night).counts == manifest(alone, "ingest", night).counts
    assert manifest(made, "validate", STOPPED).stopped
    logs = manifest(made, "build_log", RANGE[-1])
    assert set(logs.outputs) == {f"night={n}" for n in RANGE if n != STOPPED}
    assert not (made.context(RANGE[0]).workspace.lake / ".ahead").exists()


def test_a_second_history_finds_all_of_it_done(together: tuple[Deployment, Done]) -> None:
    made, _ = together
    again = history(made, RANGE[0], RANGE[-1])
    assert again.code == 10
    assert "nights in one pass" not in again.err
    assert again.err.count("unchanged: skipped") >= len(RANGE)


def test_a_night_that_somebody_waits_for_is_ingested_before_the_others(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = deployed(raw, tmp_path)
    contexts = [made.context(n) for n in RANGE]
    passes: list[list[str]] = []

    def told(group: list[NightContext], folder: Path) -> Ingest:
        passes.append([c.night for c in group])
        return Ingest()

    monkeypatch.setattr(ahead, "ingest_ahead", told)
    for first_waits, wanted in ((True, RANGE[1:]), (False, RANGE)):
        passes.clear()
        with ahead.ingesting_ahead(contexts, first_waits=first_waits) as ingest:
            stages = [ingest.stage(c) for c in contexts[:2]]
        assert (stages[0] is STAGE) is first_waits
        assert passes[0] == wanted


@pytest.mark.parametrize("read", [read_ahead, read_history])
def test_a_night_is_held_until_it_is_embedded_though_a_stage_fails(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[..., Any]
) -> None:
    context = deployed(raw, tmp_path).context(RANGE[0])
    embedded: Future[Any] = Future()
    lease = context.workspace.locks / f"night-{RANGE[0]}.json"

    def stages(stage: Stage[Any], _: NightContext) -> None:
        if stage.name == "validate":
            raise DataError("no rows")

    def held() -> AbstractContextManager[None]:
        return night_lease(context.workspace, RANGE[0], holder_of_command(), 0.0, keep=False)

    monkeypatch.setattr("pipelines.running.history.run_stage", stages)
    monkeypatch.setattr("pipelines.running.history.execute", stages)
    with (
        pytest.raises(DataError, match="no rows"),
        held_until_embedded(held(), lambda _: embedded) as embed,
    ):
        read(context, embed, STAGE)
    # Its log may be built meanwhile, by the same process.
    with held():
        pass
    assert lease.exists()
    embedded.set_result(None)
    assert not lease.exists()


@pytest.mark.long
def test_files_that_change_before_a_nights_turn_are_read_again(raw: Path, tmp_path: Path) -> None:
    made = deployed(raw, tmp_path)
    first, second = (made.context(n) for n in (RANGE[0], RANGE[2]))
    first.workspace.lake.mkdir(parents=True)
    stage = ingest_ahead([first, second], tmp_path / "ahead")
    run_stage(stage, first)
    assert not any((tmp_path / "ahead" / first.night).iterdir()), "it was taken from there"
    (path,) = (made.folder / "raw/feedback").glob(f"*{second.night}/*.jsonl")
    with path.open("a") as lines:
        lines.write("not a row\n")
    before = json.loads((tmp_path / "ahead" / second.night / "counts.json").read_text())
    found = run_stage(stage, second).manifest.counts
    assert found["feedback"]["raw"] == before["feedback"]["raw"] + 1


@pytest.mark.long
def test_a_night_that_cannot_be_read_is_named_after_those_before_it(
    raw: Path, tmp_path: Path
) -> None:
    made = deployed(raw, tmp_path)
    shutil.rmtree(made.folder / f"raw/impressions/dt={RANGE[2]}")
    done = history(made, RANGE[0], RANGE[3])
    assert done.code == 10
    assert f"night {RANGE[2]}" in done.err
    assert "impressions" in done.err
    assert "Traceback" not in done.err
    assert manifest(made, "validate", RANGE[0]) is not None
