from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.contract.fingerprints import of_paths
from spark_jobs.ingest import run
from tests.deployment import NIGHTS, SETTINGS, Deployment, rename_columns
from tests.latent_files import write_latent
from tests.spark_jobs.standalone import EXECUTORS, SPARK, Cluster

pytestmark = pytest.mark.spark

NIGHT, KEY = "2026-11-10", "0123456789abcdef0123"
# So few rows are no night of a real log.
SMALL = SETTINGS.replace("0.05\n", "0.05\nmin_rows = 1\n")
_EVALUATE = f"""
import sys
from spark_jobs.evaluate import evaluate
from spark_jobs.runtime.session import spark_session

spark = spark_session(sys.argv[1], config={EXECUTORS!r})
rows = spark.range(400).selectExpr(
    "cast(id % 20 as string) as user_id",
    "0.5 as propensity",
    "0.25 as target_probability",
    "id % 3 * 1.0 as reward",
)
states = evaluate(rows.repartition(4))
status = spark.sparkContext._jsc.sc().statusTracker()
print(len(status.getExecutorInfos()), {{int(state.rows.sum()) for state in states.values()}})
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_submitted_night_is_what_one_machine_makes_of_it(
    spark, cluster, logs, impression, event, items, monkeypatch, tmp_path
):
    monkeypatch.setenv("MRLM_USER_KEY", KEY)
    shown = [impression(f"r{i}", user_id=f"user-{i % 7}") for i in range(40)]
    broken = [*shown, '{"request_id": 1', impression("r1", propensity=2.0)]
    clicks = [event(f"e{i}", f"r{i}") for i in range(0, 40, 3)]
    logs.write(NIGHT, impressions=broken, feedback=clicks, items=items("a", "b"))
    here = logs.job(NIGHT)
    there = replace(here, out=str(tmp_path / "there"))
    counts = run(spark, here)
    job = tmp_path / "job.json"
    job.write_text(there.to_json())
    # As a cluster's defaults may have it: there 10:00 UTC is the next day.
    told = {**EXECUTORS, "spark.sql.session.timeZone": "Pacific/Kiritimati"}
    named = [a for name, value in told.items() for a in ("--conf", f"{name}={value}")]
    submit = [str(SPARK / "bin" / "spark-submit"), "--master", cluster.url, *named]
    cluster.run(*submit, "spark_jobs/ingest.py", str(job), MRLM_USER_KEY=KEY)
    assert "Registered app" in cluster.log("Master")
    assert counts["impressions"]["clean"] == 40
    for table in ("impressions", "feedback", "items", "catalog", "quarantine/rows"):
        assert of_paths([Path(there.out, table)]) == of_paths([Path(here.out, table)]), table
    private = Path(there.out, "quarantine", "rows").rglob("*.parquet")
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}


def test_nights_that_a_cluster_reads_validates_and_builds_are_those_of_one_machine(
    cluster: Cluster, tmp_path: Path
) -> None:
    nights = NIGHTS[:2]
    here, there = (_deployed(tmp_path / name) for name in ("here", "there"))
    told = "".join(f'"{name}" = "{value}"\n' for name, value in EXECUTORS.items())
    with there.settings_path.open("a") as settings:
        settings.write(f'\n[spark]\nmaster = "{cluster.url}"\n\n[spark.config]\n{told}')
    registered = cluster.log("Master").count("Registered app")
    here.run("history", *nights)
    cluster.run(*there.command("history", *nights))
    assert cluster.log("Master").count("Registered app") == registered + 1
    read = [(stage, night) for night in nights for stage in ("ingest", "validate")]
    # Logs of all nights of a history are built as of its last.
    for stage, night in [*read, ("build_log", nights[-1])]:
        found, wanted = (d.context(night).lake(stage).require() for d in (there, here))
        assert found.outputs == wanted.outputs, (night, stage)
        assert found.outputs


def _deployed(folder: Path) -> Deployment:
    """Two tiny nights of a log."""
    write_latent(folder / "raw", users=40, nights=2, slots_per_user_night=4)
    rename_columns(folder / "raw")
    (folder / "mrlm.toml").write_text(SMALL)
    return Deployment(folder, {})


def test_an_evaluation_is_summed_by_executors(cluster):
    executors, rows = cluster.run(sys.executable, "-c", _EVALUATE, cluster.url).split(" ", 1)
    # The driver counts as one.
    assert int(executors) > 1
    assert rows == "{400}\n"
