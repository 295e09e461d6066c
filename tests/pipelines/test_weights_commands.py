"""``mrlm weights`` on the deployment's first night that learns."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrlm.meta.hyperparameters.hyperparameter_record import HyperparameterRecord
from mrlm.meta.problem.objective_lifts import certified_z
from mrlm.promotion.serving.bundle import load_bundle
from pipelines.contract.context import NightContext
from pipelines.contract.stage import Product
from pipelines.nights.completed import read_completed
from pipelines.nights.plan import plan_of
from pipelines.stages import LEARNED, stage_named
from pipelines.stages.tune_weights import ROWS
from tests.deployment import NIGHTS, Deployment
from tests.pipelines.faulty import flipped, with_a_night
from tests.pipelines.in_process import Done, mrlm

pytestmark = [pytest.mark.night, pytest.mark.spark]

NIGHT = NIGHTS[4]


@pytest.fixture(scope="module")
def night(deployment: Deployment) -> Deployment:
    return with_a_night(deployment)


def asked(night: Deployment, command: str, *arguments: str, of: str = NIGHT) -> Done:
    settings = ("--settings", str(night.settings_path))
    return mrlm("weights", command, *arguments, "--night", of, *settings)


def printed(night: Deployment, *arguments: str) -> str:
    done = asked(night, *arguments)
    assert done.code == 0, done.err
    return done.out


def tuning(context: NightContext) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(context.run("tune_weights").path("tuning.json").read_text())
    return found


def staged(context: NightContext, changed: dict[str, Any], out: Path) -> Product:
    """The stage with other settings of its own, on the same plan and what is learned."""
    changes = {"tuning": context.settings.tuning.model_copy(update=changed)}
    other = replace(context, settings=context.settings.model_copy(update=changes))
    for stage in LEARNED:
        target = other.run(stage).folder
        shutil.copytree(context.run(stage).folder, target, dirs_exist_ok=True)
    try:
        product: Product = stage_named("tune_weights").run(other, plan_of(context), out)
    finally:
        shutil.rmtree(other.workspace.runs / other.run_key)
    return product


def test_a_night_whose_hyperparameters_may_move_leaves_a_record(
    night: Deployment, tmp_path: Path
) -> None:
    changed = {"hyperparameters": ("half_life", "confidence"), "hyperparameter_trials": 2}
    product = staged(night.context(NIGHT), changed, tmp_path)
    assert product.outputs["hyperparameters"] == "hyperparameters.json"
    record = HyperparameterRecord.from_json(
        json.loads((tmp_path / product.outputs["hyperparameters"]).read_text())
    )
    assert product.counts["hyperparameters"] == record.told
    assert "hyperparameters" not in night.context(NIGHT).run("tune_weights").require().outputs


def test_a_night_serves_scenes_that_want_opposite_things_by_weights_of_their_own(
    night: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later slots of a list bring the opposite of what the night's users said of them."""
    context = night.context(NIGHT)
    log, estimated = read_completed(context, plan_of(context).tune)
    later = log.decisions.scene == "more"
    assert 0.2 < later.mean() < 0.8
    rewards = log.rewards.copy()
    rewards[later, log.column("delight")] = 1 - rewards[later, log.column("delight")]
    other = (replace(log, rewards=rewards), estimated)
    monkeypatch.setattr("pipelines.stages.tune_weights.read_completed", lambda *_: other)
    changed = {"segments": "scene", "least_effective_rows": 50, "change_confidence": None}
    product = staged(context, changed, tmp_path)
    scenes = json.loads((tmp_path / "tuning.json").read_text())["scenes"]
    assert set(scenes["points"]) == {"home", "more"}, scenes["reason"]
    assert product.counts["scenes"] == list(scenes["points"])
    policy = load_bundle(tmp_path / "bundle").policy
    own = np.exp(policy.log_probabilities(log.decisions))
    everywhere = replace(log.decisions, scene=np.full(len(log), "home", object))
    as_home = np.exp(policy.log_probabilities(everywhere))
    moved = np.repeat(later, log.decisions.candidates.lengths)
    assert own[~moved] == pytest.approx(as_home[~moved], abs=1e-12)
    assert np.abs(own - as_home)[moved].max() > 0.01


def test_show_says_what_was_chosen_and_why(night: Deployment, tmp_path: Path) -> None:
    context = night.context(NIGHT)
    found = tuning(context)
    shown = printed(night, "show", "--plot", str(tmp_path / "nights.svg"))
    assert f"run {context.run_key}" in shown
    assert found["reason"] in shown
    assert f"{found['kappa']:.3f}" in shown
    for objective in context.objectives:
        assert objective.name in shown
    assert (tmp_path / "nights.svg").read_text().startswith("<?xml")
    again = asked(night, "show", "--plot", str(tmp_path / "nights.svg"))
    assert (again.code, "is there already" in again.err) == (10, True)
    assert asked(night, "show", "--plot", str(tmp_path / "nights.pdf")).code == 2


def test_contributions_sum_to_the_lift_that_the_night_wrote(night: Deployment) -> None:
    found = tuning(night.context(NIGHT))
    told = json.loads(printed(night, "explain", "--json"))
    assert told["objective"] == "delight"
    for group in told["explained"]:
        parts = sum(c["value"] for c in group["contributions"])
        assert parts == pytest.approx(group["lift"]["value"], abs=1e-9)
    if found["moved"]:
        assert told["explained"][0]["lift"]["value"] == pytest.approx(
            found["lift"]["value"], abs=1e-9
        )
    assert told["lifts"] == found["lifts"]
    assert "like" in printed(night, "explain", "--objective", "like")
    assert asked(night, "explain", "--objective", "lik").code == 2


@pytest.mark.parametrize("typed", ["like=1", "delight=.4,relative_rating=.3,diversity=.3"])
def test_what_if_is_what_a_night_with_these_weights_finds(
    night: Deployment, tmp_path: Path, typed: str
) -> None:
    """The stage itself runs with them, on the same plan and what is learned."""
    told = json.loads(printed(night, "what-if", typed, "--json"))
    weights = {n: float(w) for n, w in (part.split("=") for part in typed.split(","))}
    staged(night.context(NIGHT), {"weights": weights}, tmp_path)
    found = json.loads((tmp_path / "tuning.json").read_text())
    assert told["point"] == pytest.approx([found["kappa"], *found["theta"]], abs=1e-6)
    assert told["moved"] == found["moved"]
    for name, lift in found["lifts"].items():
        for key, value in lift.items():
            assert told["lifts"][name][key] == pytest.approx(value, abs=1e-6)
    assert told["kl"] == pytest.approx(found["kl"] if found["moved"] else 0.0, abs=1e-6)


def test_what_if_at_the_chosen_point_is_what_the_night_wrote(night: Deployment) -> None:
    found = tuning(night.context(NIGHT))
    weighed = {c: t for c, t in zip(found["columns"], found["theta"], strict=True) if t}
    typed = ",".join(f"{c}={t!r}" for c, t in weighed.items()) or "like=1"
    point = ("--kappa", repr(found["kappa"]), "--scale", repr(found["scale"]))
    told = json.loads(printed(night, "what-if", typed, *point, "--json"))
    for name, lift in found["lifts"].items():
        assert told["lifts"][name]["value"] == pytest.approx(lift["value"], abs=1e-6)
    none = json.loads(printed(night, "what-if", "like=1", "--kappa", "1", "--scale", "0", "--json"))
    assert {x["value"] for x in none["lifts"].values()} == {0.0}
    assert "nothing is trained" in printed(night, "what-if", "like=1")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("delite=1", "did you mean delight"),
        ("like", "write name=weight"),
        ("like=much", "write name=weight"),
        ("like=-1", "write name=weight"),
        ("like=inf", "write name=weight"),
        ("like=1,like=2", "there twice"),
        ("like=0", "above 0"),
    ],
)
def test_weights_that_are_none_are_refused(night: Deployment, typed: str, says: str) -> None:
    done = asked(night, "what-if", typed)
    assert (done.code, says in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--kappa", "1"), "go together"),
        (("--kappa", "0.5", "--scale", "inf"), "finite"),
        (("--kappa", "2", "--scale", "1"), "less than or equal to 1"),
        (("--run", "2026-11-13-a"), "give one of them"),
    ],
)
def test_a_point_and_a_run_are_named_in_one_way(
    night: Deployment, options: tuple[str, ...], says: str
) -> None:
    done = asked(night, "what-if", "like=1", *options)
    assert (done.code, says in done.err) == (2, True), done.err


def test_the_front_is_csv_with_bounds_and_a_plot(night: Deployment, tmp_path: Path) -> None:
    text = printed(night, "front", "--plot", str(tmp_path / "front.svg"))
    rows = list(csv.DictReader(io.StringIO(text)))
    stored = json.loads(night.context(NIGHT).run("tune_weights").path("pareto.json").read_text())
    assert len(rows) == len(stored)
    columns = len(tuning(night.context(NIGHT))["columns"])
    z = certified_z(1 + columns, len(night.context(NIGHT).objectives))
    for row, point in zip(rows, stored, strict=True):
        for name, lift in point["lifts"].items():
            assert float(row[f"lift_{name}"]) == lift["value"]
            bound = lift["value"] - z * lift["standard_error"]
            assert float(row[f"certified_{name}"]) == pytest.approx(bound, abs=1e-12)
    assert "<svg" in (tmp_path / "front.svg").read_text()


def test_rows_that_are_gone_or_damaged_are_told(night: Deployment, tmp_path: Path) -> None:
    rows = night.context(NIGHT).run("tune_weights").folder / ROWS
    kept = shutil.copytree(rows, tmp_path / "kept")
    try:
        flipped(rows / "problem.safetensors")
        done = asked(night, "what-if", "like=1")
        assert (done.code, "--force" in done.err) == (10, True), done.err
        shutil.rmtree(rows)
        done = asked(night, "what-if", "like=1")
        assert (done.code, "are not there" in done.err) == (10, True), done.err
    finally:
        shutil.rmtree(rows, ignore_errors=True)
        shutil.copytree(kept, rows)


def test_a_night_without_weights_is_named(night: Deployment) -> None:
    done = asked(night, "show", of=NIGHTS[0])
    assert (done.code, f"night {NIGHTS[0]}" in done.err) == (10, True)
