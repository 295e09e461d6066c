"""A whole night on a tiny log with renamed columns, the same night twice, and kill -9."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.learners.baselines import BASELINES
from mrlm.meta.state.meta_state import MetaState
from mrlm.meta.strategies.registry import STRATEGIES
from mrlm.promotion.registry.version_files import version_folder
from mrlm.report.simple_baselines import baseline_line
from pipelines.care.summary import manifests_of, summarise
from pipelines.contract.context import NightContext
from pipelines.contract.deployment import place_of
from pipelines.contract.manifest import Manifest
from pipelines.contract.workspace import Workspace
from pipelines.nights.coming_nights import outlook_nights
from pipelines.nights.judged import read_evidence
from pipelines.nights.plan import plan_of
from pipelines.running.night import closing_of
from pipelines.running.run_stage import is_unchanged
from pipelines.stages import DATA, ORDER, output_of, stage_named
from tests.deployment import NIGHTS, ROOT, Deployment

pytestmark = [pytest.mark.night, pytest.mark.spark]

NIGHT, KILLED, LAST = NIGHTS[4:7]


@pytest.fixture(scope="module")
def night(deployment: Deployment) -> Deployment:
    (deployment.folder / "night.log").write_text(deployment.run("night", NIGHT))
    return deployment


def test_every_raw_row_is_counted_as_its_writer_says(night: Deployment) -> None:
    for date in NIGHTS[:5]:
        counts = manifests_of(night.context(date))["ingest"].counts
        for table in ("impressions", "feedback", "items"):
            stated = night.world["nights"][date][table]
            for kind in ("raw", "clean", "duplicate", "late", "quarantined"):
                assert counts[table][kind] == stated[kind], (date, table, kind)


def test_a_night_runs_every_stage_and_closes(night: Deployment) -> None:
    context = night.context(NIGHT)
    assert list(manifests_of(context)) == list(ORDER)
    closing = closing_of(context)
    assert closing is not None
    assert closing.verdict in {"promoted", "refused"}


def test_fit_tune_and_gate_nights_are_disjoint_and_in_every_manifest(night: Deployment) -> None:
    context = night.context(NIGHT)
    plan = plan_of(context)
    together = [*plan.fit, *plan.tune, *plan.gate]
    assert plan.gate
    assert together == sorted(set(together))
    done = manifests_of(context)
    evaluated = done["evaluate"].counts
    assert [evaluated[k] for k in ("fit", "tune", "gate")] == [plan.fit, plan.tune, plan.gate]
    read = {
        stage: {n for n in done[stage].inputs if n.startswith("bandit_log/")}
        for stage in ("learn_policy", "tune_weights", "evaluate")
    }
    assert read["learn_policy"] == {f"bandit_log/{n}" for n in plan.fit}
    assert read["tune_weights"] == {f"bandit_log/{n}" for n in plan.tune}
    # The fit and tune nights tell how far nights spread.
    assert read["evaluate"] == {f"bandit_log/{n}" for n in together}


def test_the_first_champion_says_how_close_it_is_to_the_logger(night: Deployment) -> None:
    place = place_of(night.context(NIGHT).settings, night.context(NIGHT).workspace)
    installed = next(e for e in place.ledger.entries() if e.kind == "initial")
    assert re.search(
        r"divergence \S+ nats, top probability 0\.\d+ \(logger 0\.\d+\)", installed.reason
    )
    assert "delight of the logger" in installed.reason
    assert "clone - logger" in installed.reason


def test_the_challenger_is_compared_with_the_logger_too(night: Deployment) -> None:
    context = night.context(NIGHT)
    evidence = read_evidence(context)
    logger = evidence.estimate("logger", "dr", "delight")
    paired = evidence.logger_difference("dr", "delight")
    challenger = evidence.estimate("challenger", "dr", "delight")
    assert None not in (logger, paired, challenger)
    assert paired.value == pytest.approx(challenger.value - logger.value, abs=1e-9)
    folder = output_of("gate", context).folder
    checks = {c["name"] for c in json.loads((folder / "verdict.json").read_text())["checks"]}
    assert "certified: difference to the logger in delight" in checks
    against = baseline_line(evidence)
    for page in ("index.html", "memo.md"):
        text = (folder / "report" / page).read_text()
        assert "challenger - logger" in text
        assert against in text
    assert set(evidence.baseline_differences) == set(BASELINES)
    for name, differences in evidence.baseline_differences.items():
        own = evidence.estimate(name, "dr", "delight")
        assert differences["delight"].value == pytest.approx(challenger.value - own.value, abs=1e-9)


def test_no_table_of_a_version_tells_of_fewer_users_than_the_setting(night: Deployment) -> None:
    context = night.context(NIGHT)
    version = manifests_of(context)["register"].counts["version"]
    least, pages = context.settings.registry.least_users, []
    for folder in (
        output_of("evaluate", context).folder,
        output_of("gate", context).folder,
        version_folder(context.registry, version),
        context.workspace.registry / "artifacts",
    ):
        pages += [p for p in folder.rglob("*.json") if b'"users"' in p.read_bytes()]
    groups = [g for page in pages for g in groups_of(json.loads(page.read_text()))]
    assert "all" in {g.get("group") for g in groups}
    assert min(g["users"] for g in groups) >= least


def groups_of(data: Any) -> list[dict[str, Any]]:
    """Every table row of a JSON page that says how many users it is of."""
    if isinstance(data, list):
        return [g for x in data for g in groups_of(x)]
    if not isinstance(data, dict):
        return []
    own = [data] if isinstance(data.get("users"), int) and {"group", "night"} & set(data) else []
    return own + [g for x in data.values() for g in groups_of(x)]


def test_published_lists_carry_true_propensities_without_repeats(night: Deployment) -> None:
    context = night.context(NIGHT)
    folder = output_of("publish", context).folder
    table = pq.read_table(folder / "recommendations.parquet").to_pandas()
    assert len(table) > 0
    assert table["propensity"].between(0, 1, inclusive="right").all()
    assert not table.duplicated(["user", "item_id"]).any()
    assert not table.duplicated(["user", "position"]).any()
    assert (context.workspace.published / f"{NIGHT}.json").is_file()


def test_the_summary_has_the_fields_that_it_promises(night: Deployment) -> None:
    settings = night.context(NIGHT).settings
    found = summarise([night.context(n) for n in NIGHTS[:5]], Workspace(settings.workspace))
    row = found["nights"][-1]
    assert set(row["rows"]) == {"raw", "clean", "duplicate", "late", "quarantined"}
    rows = row["rows"]
    assert rows["raw"] == sum(v for k, v in rows.items() if k != "raw")
    for who in ("challenger", "champion", "difference"):
        assert {"value", "lower", "upper", "certified", "truth"} <= set(row[who])
        assert np.isfinite(row[who]["truth"])
    assert set(row["baselines"]) == set(BASELINES)
    for baseline in row["baselines"].values():
        assert np.isfinite([baseline[of]["truth"] for of in ("policy", "difference")]).all()
    true = {name: b["policy"]["truth"] for name, b in row["baselines"].items()}
    assert true[row["best_baseline"]] == max(true.values())
    assert [n["verdict"] for n in found["nights"][:4]] == ["history"] * 4
    assert found["nights"][0]["challenger"] is None


def test_log_memo_and_weights_name_the_same_objective_weights(night: Deployment) -> None:
    # Airflow may have run the night before this command, which then says that nothing changed.
    tasks = (night.folder / "workspace" / "airflow" / "logs").rglob("*.log")
    logs = [night.folder / "night.log", *tasks]
    log = "\n".join(path.read_text(errors="replace") for path in logs)
    assert "PolicyEstimate(" not in log
    assert "Certificate(" not in log
    assert re.search(r"in delight: challenger - champion [+-][\d.e-]+[ ,]", log)
    context = night.context(NIGHT)
    weights = manifests_of(context)["tune_weights"].counts["weights"]
    assert set(weights) == {"delight", "like", "relative_rating", "diversity"}
    assert sum(weights.values()) == pytest.approx(1.0)
    # What a solver leaves of 0 is told as 0.
    near = {name: weight if weight > 1e-9 else 0 for name, weight in weights.items()}
    told = ", ".join(f"{name} {weight:.4g}" for name, weight in sorted(near.items()))
    assert f"objective weights: {told}" in log
    assert f"Objective weights: {told}." in night.run("review", context.run_key)
    shown = {name: weight if weight > 1e-9 else 0.0 for name, weight in weights.items()}
    assert json.dumps(shown, sort_keys=True) in night.run("weights")


def test_every_strategy_is_told_and_the_meta_update_keeps_its_state(night: Deployment) -> None:
    run = night.context(NIGHT).run("tune_weights")
    told = json.loads(run.path("tuning.json").read_text())
    assert set(told["strategies"]) == set(STRATEGIES)
    own = told["strategies"]["pessimistic_bound"]
    assert {name: told[name] for name in own} == own
    tuned_on = plan_of(night.context(NIGHT)).tune
    assert told["dropped"] == []
    # One night has nothing to be held against.
    assert (told["change"] is None) == (len(tuned_on) == 1)
    state = MetaState.from_json(json.loads(run.path("state.json").read_text()))
    assert [r.night for r in state.records] == tuned_on[-1:]
    # A night that stays with the champion has no point to keep.
    point = json.loads(run.path("weights.json").read_text())["point"]
    assert list(state.point) == (point if told["moved"] else [])


def test_review_takes_a_version_and_prints_markdown(night: Deployment) -> None:
    version = manifests_of(night.context(NIGHT))["register"].counts["version"]
    printed = night.run("review", str(version))
    assert f"# recommender, version {version}\n" in printed
    assert f"\n## Night {NIGHT}: " in printed
    assert "\n| objective (dr) | challenger | champion |" in printed
    lines = night.run("review", "--json", str(version)).splitlines()
    shown = json.loads(next(line for line in lines if line.startswith("{")))
    assert shown["run_key"] == night.context(NIGHT).run_key
    assert shown["memo"] in printed
    assert "the versions are 1, " in night.run("review", "99", code=10)


def test_what_comes_out_is_what_the_readme_says(night: Deployment) -> None:
    context = night.context(NIGHT)
    readme, own_logs = (ROOT / p for p in ("README.md", "docs/logs.md"))
    decisions = output_of("evaluate", context).folder / "decisions.parquet"
    for column in pq.read_schema(decisions).names:
        assert f"`{column}`" in readme.read_text(), column
    about = json.loads((context.workspace.published / f"{NIGHT}.json").read_text())
    fields = own_logs.read_text().split("## Serve")[1]
    assert set(about) == set(re.findall(r"`(\w+)`", fields.split("\n\nThe file has")[0]))
    names = re.search(r"The published file has `([^`]+)`", readme.read_text())
    assert names
    table = pq.read_table(context.workspace.root / about["path"])
    assert names[1].split(", ") == table.column_names
    assert (context.workspace.root / about["catalog"] / "catalog.parquet").is_file()
    assert about["catalog_night"] == NIGHT
    assert len(table) == about["rows"]
    assert set(table["policy_id"].to_pylist()) == {f"recommender@{about['champion']}"}


def test_the_registered_version_answers_as_the_readme_shows(night: Deployment) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)
    # The champion knows the items of its own night.
    items = pq.read_table(output_of("ingest", night.context(NIGHTS[3])).folder / "catalog")
    for n, item in enumerate(items["item_id"].to_pylist()[:3], 1):
        example = example.replace(f"film-{n}", item)
    example += "\nprint(len(model.predict(requests, params={'k': 2})['items'][0]))\n"
    command = [sys.executable, "-c", example]
    done = subprocess.run(command, cwd=night.folder, capture_output=True, text=True, check=True)
    assert "propensities" in done.stdout
    assert done.stdout.splitlines()[-1] == "2"


def test_the_same_night_twice_skips_every_stage_and_says_so(night: Deployment) -> None:
    before = {n: m.fingerprint for n, m in manifests_of(night.context(NIGHT)).items()}
    printed = night.run("night", NIGHT)
    for name in ORDER:
        if name != "publish":
            assert f"[{name}] unchanged: skipped" in printed, name
    after = {n: m.fingerprint for n, m in manifests_of(night.context(NIGHT)).items()}
    after.pop("publish")
    assert after.items() <= before.items()


def test_aliases_are_what_the_ledger_says(night: Deployment) -> None:
    assert "chain is whole" in night.run("verify")


def test_kill_9_at_five_stages_leaves_the_same_night(night: Deployment) -> None:
    """Each stage is killed while it works, then run again; a forced run must give the same."""
    context = night.context(KILLED)
    moment = random.Random(20261114)
    killed = []
    for name in ORDER[: ORDER.index("register") + 1]:
        if name in {"ingest", "build_log", "learn_policy", "tune_weights", "register"}:
            killed.append(_killed(night, name, moment.uniform(0.0, 0.2)))
            folder = output_of(name, context).folder
            assert Manifest.read(folder) is None, f"{name} was complete before it was killed"
        night.run("stage", name, "--night", KILLED)
    assert killed == [-signal.SIGKILL] * 5
    night.run("night", KILLED)
    first = _fingerprints(night)
    night.run("night", KILLED, "--force")
    assert _fingerprints(night) == first
    from mrlm.promotion.registry.versions import all_versions

    versions = all_versions(place_of(context.settings, context.workspace))
    assert [v.run_key for v in versions].count(context.run_key) == 1

    entries = place_of(context.settings, context.workspace).ledger.entries()
    judged = [e for e in entries if e.kind == "judged" and e.run_key == context.run_key]
    assert len(judged) == 1


def test_the_state_of_the_meta_update_is_an_artifact_of_the_version(night: Deployment) -> None:
    context = night.context(NIGHT)
    place = context.registry
    version = manifests_of(context)["register"].counts["version"]
    run = place.client().get_model_version(place.model, str(version)).run_id
    kept = Path(place.client().download_artifacts(run, "report/meta_state.json"))
    assert kept.read_bytes() == context.run("tune_weights").path("state.json").read_bytes()


@pytest.fixture(scope="module")
def followed(night: Deployment) -> Deployment:
    """Two more nights: the last one's data is read ahead of the first night's promotion."""
    from mrlm.promotion.record.followed_nights import promotions

    night.run("night", KILLED)
    printed = night.run("read-ahead", LAST, LAST)
    assert f'{{"passed": {{"{LAST}": true}}}}' in printed
    first = night.context(NIGHT)
    if not promotions(place_of(first.settings, first.workspace).ledger.entries()):
        # The gate does not promote on so little; a person does.
        said = ("--actor", "tester", "--reason", "to be followed")
        night.run("decide", first.run_key, "--approve", *said)
        night.run("promote", first.run_key, "--actor", "tester")
    printed = night.run("night", LAST)
    assert "hindcast: version" in printed
    for name in DATA:
        assert f"[{name}] unchanged: skipped" in printed, name
    return night


def test_reading_ahead_leaves_the_night_before_unchanged(followed: Deployment) -> None:
    context = followed.context(KILLED)
    for name in ORDER[: ORDER.index("register")]:
        assert is_unchanged(stage_named(name), context), name


def test_a_promotion_is_followed_on_the_nights_since(followed: Deployment) -> None:
    """A promoted version's lift, on a night that was judged after it, is on the next night's page.

    The version and its evidence come from the registry, the night since from the lake.
    """
    from mrlm.promotion.record.followed_nights import promotions

    context, first = followed.context(LAST), followed.context(NIGHT)
    place = place_of(context.settings, context.workspace)
    promoted = promotions(place.ledger.entries())[0]
    assert promoted.run_key == first.run_key
    plan = plan_of(context)
    since = [n for n in plan_of(followed.context(KILLED)).gate if n > max(promoted.gate_nights)]
    assert plan.hindcast == {promoted.run_key: since}
    assert not {*since} & {*plan.gate}
    evidence = read_evidence(context)
    assert evidence.hindcast is not None
    assert evidence.hindcast.left_out == ()
    (found,) = evidence.hindcast.promotions
    assert (found.version, found.nights) == (promoted.version, tuple(since))
    assert found.predicted == read_evidence(first).difference("dr", "delight")
    assert found.realised.value is not None
    assert np.isfinite(found.realised.value)
    assert evidence.outlook is not None
    assert evidence.outlook.next_night is not None
    assert evidence.outlook.next_night.nights == len(outlook_nights(plan))
    rows = [p.rows for p in evidence.outlook.power]
    assert rows == sorted(rows, reverse=True)
    assert [d["night"] for d in evidence.support["drift"]] == outlook_nights(plan)
    assert evidence.support["groups"]["all"][0]["rows"] == evidence.rows
    assert {"items", "propensity_calibration"} <= evidence.support.keys()
    page = (output_of("gate", context).folder / "report" / "index.html").read_text()
    for shown in ("Hindcast: what promotions promised and brought", "Support over nights"):
        assert shown in page
    assert is_unchanged(stage_named("evaluate"), context)


def test_on_its_own_gate_nights_a_promotion_brings_what_was_predicted(followed: Deployment) -> None:
    """Policies, reward model and rows are then those of its evidence, and so is every number."""
    from mrlm.promotion.record.followed_nights import promotions
    from pipelines.nights.earlier_promotions import hindcast

    last = followed.context(LAST)
    entries = place_of(last.settings, last.workspace).ledger.entries()
    for entry in promotions(entries):
        # On its own night: texts of items change later, and with them what is predicted.
        context = followed.context(entry.run_key.rpartition("-")[0])
        own = {entry.run_key: list(entry.gate_nights)}
        found = hindcast(context, replace(plan_of(context), hindcast=own))
        assert found is not None
        (one,) = found.promotions
        assert one.realised.value == pytest.approx(one.predicted.value, abs=1e-9)
        assert one.realised.standard_error == pytest.approx(one.predicted.standard_error, abs=1e-9)
        assert one.covered
        assert not one.alarm


def test_an_evaluation_without_all_propensities_says_so(
    followed: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last night again with every third propensity lost, by two loggers."""
    from mrlm.evidence.evidence import Evidence
    from mrlm.promotion.judgement.gate import judge
    from mrlm.report.review_page import render_review_page
    from pipelines.nights import completed as propensities

    whole = propensities.read_logs

    def lossy(context: NightContext, nights: list[str], *more: Any) -> BanditLog:
        log = whole(context, nights, *more)
        place = np.arange(len(log))
        return replace(
            log,
            propensity=np.where(place % 3 == 0, np.nan, log.propensity),
            policy_id=np.where(place % 2 == 0, "even", "odd").astype(object),
        )

    monkeypatch.setattr(propensities, "read_logs", lossy)
    context = followed.context(LAST)
    stage_named("evaluate").run(context, plan_of(context), tmp_path)
    evidence = Evidence.from_json(json.loads((tmp_path / "evidence.json").read_text()))
    assert evidence.propensities == "estimated"
    estimate = evidence.difference("dr", "delight")
    assert estimate is not None
    assert "estimated propensities" in estimate.reasons[0]
    report = evidence.support["estimated_propensities"]
    assert 0.3 < report["estimated_share"] < 0.4
    assert {b["objective"] for b in report["bounds"]} == {o.name for o in context.objectives}
    assert "propensity_calibration" not in evidence.support
    assert evidence.support["loggers"].keys() == {"even", "odd"}
    assert "dr (estimated propensities) (stratified)" in evidence.differences
    verdict = judge(evidence, context.settings.gate)
    assert not verdict.promote
    assert "propensities of the gate nights are estimated" in verdict.reason
    page = render_review_page(evidence, verdict)
    for shown in ("Propensities are estimated", "hidden confounding", "Several loggers"):
        assert shown in page


def _killed(night: Deployment, name: str, after: float) -> int:
    """Start a stage, kill it -9 a moment after it began to work, and give its exit code."""
    folder = output_of(name, night.context(KILLED)).folder
    staging = folder.with_name(f".{folder.name}.staging")
    running = night.start("stage", name, "--night", KILLED)
    deadline = time.monotonic() + 120
    while not staging.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(after)
    lease = night.context(KILLED).workspace.locks / f"night-{KILLED}.json"
    os.kill(json.loads(lease.read_text())["pid"], signal.SIGKILL)
    try:
        return running.wait()
    finally:
        running.end()


def _fingerprints(night: Deployment) -> dict[str, str]:
    return {n: m.output_fingerprint() for n, m in manifests_of(night.context(KILLED)).items()}
