"""The contract that lets a stage be killed at any point."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from filelock import FileLock

from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product
from pipelines.contract.workspace import StagePlace, Workspace, remove
from pipelines.failures.errors import BusyError, MissingInputError, NightStoppedError
from pipelines.running import run_stage as running
from pipelines.running.run_stage import is_unchanged, run_stage
from pipelines.settings.model import Settings
from pipelines.stages import stage_named

NIGHT = "2026-11-20"


def settings(workspace: Path) -> Settings:
    return Settings.model_validate(
        {
            "workspace": workspace,
            "inputs": {t: {"path": "x"} for t in ("impressions", "feedback", "items")},
            "state": {"history_objective": "click"},
            "objectives": [
                {"name": "click", "source": "feedback", "event": "click", "role": "north_star"}
            ],
        }
    )


@dataclass
class Counting:
    """A stage that counts its runs and can be told to die."""

    name: str = "counting"
    place: StagePlace = "lake"
    sections: tuple[str, ...] = ("seed",)
    form: int = 1
    value: str = "one"
    stopped: str = ""
    runs: int = 0
    plans: int = 0
    read: str = ""
    die: Callable[[], None] = field(default=lambda: None)

    def plan(self, context: NightContext) -> str:
        """Another one whenever it is asked for."""
        del context
        self.plans += 1
        return f"plan {self.plans}"

    def inputs(self, context: NightContext, plan: str) -> dict[str, str]:
        del context
        self.read = plan
        return {"value": self.value}

    def run(self, context: NightContext, plan: str, out: Path) -> Product:
        del context
        assert plan == self.read
        self.runs += 1
        (out / "result.json").write_text(json.dumps({"value": self.value}))
        self.die()
        return Product({"result": "result.json"}, {"runs": 1}, self.stopped)


@pytest.fixture
def context(tmp_path: Path) -> NightContext:
    return NightContext(NIGHT, settings(tmp_path), Workspace(tmp_path))


def test_unchanged_is_skipped_and_changed_is_not(context: NightContext) -> None:
    stage = Counting()
    assert not is_unchanged(stage, context)
    first = run_stage(stage, context)
    second = run_stage(stage, context)
    assert (first.unchanged, second.unchanged, stage.runs) == (False, True, 1)
    assert is_unchanged(stage, context)
    stage.value = "two"
    third = run_stage(stage, context)
    assert (third.unchanged, stage.runs) == (False, 2)
    assert third.manifest.output_fingerprint() != first.manifest.output_fingerprint()


def test_an_output_that_earlier_code_did_not_make_is_a_missing_input(context: NightContext) -> None:
    stage = Counting()
    done = run_stage(stage, context).manifest
    folder = context.of(stage.name, stage.place)
    assert folder.output("result") == done.outputs["result"]
    with pytest.raises(MissingInputError, match="without baselines; run 'mrlm stage counting"):
        folder.output("baselines")


def test_a_stage_reads_only_its_own_settings(context: NightContext) -> None:
    stage = Counting()
    run_stage(stage, context)
    other = context.settings.model_copy(
        update={"gate": context.settings.gate.model_copy(update={"level": 0.9})}
    )
    assert run_stage(stage, NightContext(NIGHT, other, context.workspace)).unchanged
    seeded = context.settings.model_copy(update={"seed": 1})
    assert not run_stage(stage, NightContext(NIGHT, seeded, context.workspace)).unchanged


def weighted(context: NightContext) -> NightContext:
    """The same night with weights that a person typed."""
    tuning = context.settings.tuning.model_copy(update={"weights": {"click": 1.0}})
    other = context.settings.model_copy(update={"tuning": tuning})
    return NightContext(context.night, other, context.workspace)


def test_typed_weights_are_another_run_that_retrains_nothing(context: NightContext) -> None:
    learn = Counting("learn_policy", "run", stage_named("learn_policy").sections)
    first, other = run_stage(learn, context), weighted(context)
    assert other.run_key != context.run_key
    taken = run_stage(learn, other)
    assert (taken.unchanged, learn.runs) == (True, 1)
    assert taken.manifest == replace(first.manifest, run_key=other.run_key)
    assert is_unchanged(learn, other)
    result = other.run("learn_policy").path("result.json")
    # A file of its own: what happens to one run is no matter of the other.
    assert result.stat().st_nlink == 1
    assert json.loads(result.read_text()) == {"value": "one"}
    tune = Counting("tune_weights", "run", stage_named("tune_weights").sections)
    assert not run_stage(tune, context).unchanged
    assert not run_stage(tune, other).unchanged


def test_what_is_damaged_or_forced_is_not_taken_from_another_run(context: NightContext) -> None:
    learn = Counting("learn_policy", "run")
    other = weighted(context)
    run_stage(learn, context)
    forced = NightContext(NIGHT, other.settings, other.workspace, force=True)
    assert not run_stage(learn, forced).unchanged
    remove(other.run("learn_policy").folder)
    (context.run("learn_policy").folder / "result.json").write_text("{}")
    assert not run_stage(learn, other).unchanged
    assert learn.runs == 3


def test_a_task_is_planned_once(context: NightContext) -> None:
    stage = Counting()
    run_stage(stage, context)
    assert (stage.plans, stage.runs) == (1, 1)
    assert is_unchanged(stage, context)
    assert stage.plans == 2


class KilledError(BaseException):
    """Stands for kill -9 at a chosen point: nothing after it runs."""


def kill() -> None:
    raise KilledError


@pytest.mark.parametrize("point", ["in the work", "before the rename", "before the manifest"])
def test_killed_anywhere_it_leaves_nothing_that_is_read(
    context: NightContext, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    whole = run_stage(Counting(), NightContext("2026-11-19", context.settings, context.workspace))
    stage = Counting()
    with monkeypatch.context() as patch:
        if point == "in the work":
            stage.die = kill
        elif point == "before the rename":
            patch.setattr(running, "_give_way", lambda *args: kill())
        else:
            patch.setattr(Manifest, "write", lambda *args: kill())
        with pytest.raises(KilledError):
            run_stage(stage, context)
    with pytest.raises(MissingInputError, match="mrlm stage counting"):
        context.of(stage.name, stage.place).require()
    stage.die = lambda: None
    again = run_stage(stage, context)
    assert not again.unchanged
    assert again.manifest.outputs == whole.manifest.outputs
    parent = context.of(stage.name, stage.place).folder.parent
    assert sorted(p.name for p in parent.iterdir()) == [".counting.lock", "counting"]


def test_a_stop_is_kept_and_obeyed_by_every_reader(context: NightContext) -> None:
    stage = Counting(stopped="the data are wrong")
    for _ in range(2):
        with pytest.raises(NightStoppedError, match="the data are wrong"):
            run_stage(stage, context)
    assert stage.runs == 1
    with pytest.raises(NightStoppedError):
        context.of(stage.name, stage.place).require()


def test_what_a_run_judged_is_set_aside_and_not_rewritten(context: NightContext) -> None:
    stage = Counting(place="run")
    old = run_stage(stage, context).manifest
    stage.value = "two"
    run_stage(stage, context)
    folder = context.of(stage.name, stage.place).folder
    aside = folder.with_name(f"counting.superseded-{old.fingerprint[:8]}")
    assert Manifest.read(aside) == old


def test_two_processes_never_work_on_the_same_output(
    context: NightContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Counting()
    folder = context.of(stage.name, stage.place).folder
    folder.parent.mkdir(parents=True)
    monkeypatch.setattr(running, "_LOCK_SECONDS", 0.0)
    with (
        FileLock(folder.with_name(".counting.lock"), is_singleton=False),
        pytest.raises(BusyError, match="another process still works on stage counting"),
    ):
        run_stage(stage, context)
    assert stage.runs == 0


def test_force_runs_again(context: NightContext) -> None:
    stage = Counting()
    run_stage(stage, context)
    forced = NightContext(NIGHT, context.settings, context.workspace, force=True)
    assert not run_stage(stage, forced).unchanged
    assert stage.runs == 2
