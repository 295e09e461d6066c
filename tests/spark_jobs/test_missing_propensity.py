"""Impressions without a propensity, from the raw files to an evaluation that says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrlm.bandit_log import Catalog, Objective
from mrlm.bandit_log.stored.reader import read_bandit_log
from mrlm.evidence.propensities import completed, estimated_report
from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState
from mrlm.ope.intervals import estimates
from mrlm.ope.propensity import flagged
from mrlm.policies.uniform import Uniform
from pipelines.expectations.run import validate_night
from pipelines.settings.ingestion import Ingestion
from pipelines.settings.input_tables import Inputs, InputTable
from pipelines.settings.model import Settings
from pipelines.settings.users_past import State
from spark_jobs import build_log, ingest
from spark_jobs.build_log import BuildLogJob
from spark_jobs.log.rewards import Delivered

pytestmark = pytest.mark.spark
NIGHT = "2026-11-10"
ROWS = 400
CHANCES = np.array([0.6, 0.3, 0.1])
OBJECTIVES = (Objective("click", "feedback", "north_star", event="click", missing=0.0),)


def night_of(impression, event, items, *, missing: float):
    """A logger that likes a more than b more than c, and forgets some propensities."""
    g = np.random.default_rng(4)
    shown, clicks = [], []
    for k in range(ROWS):
        a = int(g.choice(3, p=CHANCES))
        lost = g.random() < missing
        shown.append(
            impression(
                f"r{k}",
                user_id=f"user-{k % 60}",
                ts=f"2026-11-10T{k // 60:02d}:{k % 60:02d}:00Z",
                item_id="abc"[a],
                candidates=["a", "b", "c"],
                propensity=None if lost else float(CHANCES[a]),
                candidate_propensities=None if lost else CHANCES.tolist(),
            )
        )
        if g.random() < 0.3:
            clicks.append(event(f"e{k}", f"r{k}", item_id="abc"[a], ts="2026-11-10T20:00:00Z"))
    return {"impressions": shown, "feedback": clicks, "items": items("a", "b", "c")}


def read(spark, logs, folder: Path):
    out = logs.folder / "out" / NIGHT
    job = BuildLogJob(
        as_of=NIGHT,
        nights=(NIGHT,),
        impressions={NIGHT: str(out / "impressions")},
        feedback={NIGHT: str(out / "feedback")},
        objectives=OBJECTIVES,
        history_objective="click",
        out=str(folder),
        delivered={"click": Delivered(frozenset({NIGHT}))},
    )
    build_log.run(spark, job)
    return read_bandit_log([folder / f"night={NIGHT}"], Catalog.read(out / "catalog"), OBJECTIVES)


def test_rows_without_a_propensity_are_kept_estimated_and_flagged(
    spark, logs, impression, event, items, tmp_path: Path
):
    logs.write(NIGHT, **night_of(impression, event, items, missing=0.4))
    counts = ingest.run(spark, logs.job(NIGHT, propensity="estimated"))
    assert counts["impressions"]["clean"] == ROWS
    assert counts["impressions"]["quarantined"] == {}

    settings = Settings(
        inputs=Inputs(
            impressions=InputTable(path="i"),
            feedback=InputTable(path="f"),
            items=InputTable(path="m"),
        ),
        ingestion=Ingestion(propensity="estimated"),
        state=State(history_objective="click"),
        objectives=list(OBJECTIVES),
    )
    out = logs.folder / "out" / NIGHT
    verdict = validate_night(spark, out, NIGHT, settings, [], [], tmp_path)
    assert verdict["verdict"] == "passed", verdict["failed"]

    log = read(spark, logs, tmp_path / "log")
    lost = np.isnan(log.propensity)
    assert len(log) == ROWS
    assert 0.3 < lost.mean() < 0.5
    filled, found = completed(log)
    assert found is not None
    assert (found.estimated == lost).all()
    assert (filled.propensity[~lost] == log.propensity[~lost]).all()
    known = np.repeat(~lost, 3)
    assert (filled.candidate_propensity[known] == log.candidate_propensity[known]).all()
    # 400 rounds tell three chances to about .03: twice that, and each estimate is of its own fold.
    assert np.abs(filled.propensity - CHANCES[log.action])[lost].max() < 0.06

    target = np.exp(Uniform().log_probabilities(filled.decisions))
    batch = EvaluationBatch.from_log(filled, target, None, "uniform")
    state = EvaluationState.of(flagged(ESTIMATORS["snips"](batch)))
    estimate = estimates(state)["click"]
    assert not estimate.certified
    assert "estimated propensities" in (estimate.certificate.reason or "")
    bounds = estimated_report(batch, found)["bounds"]
    assert bounds[0]["value_lower"] == pytest.approx(estimate.value)
    assert bounds[-1]["value_lower"] < estimate.value < bounds[-1]["value_upper"]


def test_a_log_without_any_propensity_is_complete_too(
    spark, logs, impression, event, items, tmp_path: Path
):
    """Not even the column is needed; the clone of the logger comes from what it showed."""
    tables = night_of(impression, event, items, missing=1.0)
    for row in tables["impressions"]:
        del row["propensity"]
    logs.write(NIGHT, **tables)
    ingest.run(spark, logs.job(NIGHT, propensity="estimated"))
    filled, found = completed(read(spark, logs, tmp_path / "log"))
    assert found is not None
    assert found.estimated.all()
    assert np.abs(filled.propensity - CHANCES[filled.action]).max() < 0.06
    few = filled.take(np.arange(3))
    with pytest.raises(ValueError, match="cannot be estimated"):
        completed(few.__class__(**{**few.__dict__, "propensity": np.full(3, np.nan)}))


def test_by_default_they_are_quarantined(spark, logs, impression, event, items, tmp_path: Path):
    logs.write(NIGHT, **night_of(impression, event, items, missing=0.4))
    counts = ingest.run(spark, logs.job(NIGHT))
    lost = counts["impressions"]["quarantined"]["missing_propensity"]
    assert 0.3 < lost / ROWS < 0.5
    log = read(spark, logs, tmp_path / "log")
    assert len(log) == ROWS - lost
    assert completed(log) == (log, None)
