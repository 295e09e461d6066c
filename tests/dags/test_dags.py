"""DAG files: light to parse, no database, and a graph without a way around the gate."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "pyspark", "mlflow", "great_expectations", "pandas", "transformers")

_PARSE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({folder!r})
dags = {{}}
for name, dag in bag.dags.items():
    dags[name] = {{
        "tags": sorted(dag.tags),
        "doc": bool(dag.doc_md),
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "tasks": {{
            t.task_id: {{
                "up": sorted(t.upstream_task_ids),
                "pool": t.pool,
                "retries": t.retries,
                "owner": t.owner,
                "rule": str(t.trigger_rule.value),
                "outlets": sorted(o.name for o in t.outlets),
            }}
            for t in dag.tasks
        }},
    }}
heavy = [m for m in {heavy!r} if m in sys.modules]
print("RESULT" + json.dumps({{"errors": bag.import_errors, "dags": dags, "heavy": heavy}}))
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # No database can be opened there.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "dags")]),
    }
    code = _PARSE.format(folder=str(ROOT / "dags"), heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    line = next(x for x in done.stdout.splitlines() if x.startswith("RESULT"))
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT"))
    return found


def test_dags_parse_without_errors_and_without_heavy_imports(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert parsed["heavy"] == []
    assert set(parsed["dags"]) == {
        "nightly_retrain",
        "promotion_review",
        "rollback_champion",
        "read_ahead",
        "replay_nights",
        "publish_recommendations",
    }


def test_every_dag_is_documented_tagged_owned_and_bounded(parsed: dict[str, Any]) -> None:
    for name, dag in parsed["dags"].items():
        assert dag["doc"], name
        assert "mrlm" in dag["tags"], name
        assert not dag["catchup"], name
        assert all(t["owner"] == "mrlm" for t in dag["tasks"].values()), name
    assert parsed["dags"]["nightly_retrain"]["max_active_runs"] == 1


def test_pools_exist(parsed: dict[str, Any]) -> None:
    pools = {"default_pool", *json.loads((ROOT / "infra/airflow/pools.json").read_text())}
    used = {t["pool"] for d in parsed["dags"].values() for t in d["tasks"].values()}
    assert used <= pools
    assert {"gpu", "registry"} <= used


def test_the_only_way_to_promote_is_through_evaluate_register_and_gate(
    parsed: dict[str, Any],
) -> None:
    tasks = parsed["dags"]["nightly_retrain"]["tasks"]
    order = ["learn_policy", "tune_weights", "evaluate", "register", "gate", "promote"]
    for before, after in itertools.pairwise(order):
        assert tasks[after]["up"] == [before]
        assert tasks[after]["rule"] == "all_success"


def test_a_stopped_night_still_publishes_and_closes(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["nightly_retrain"]["tasks"]
    assert tasks["publish"]["rule"] == "all_done"
    assert tasks["close"]["rule"] == "all_done"
    assert tasks["close"]["up"] == ["publish"]
    assert all(t["retries"] >= 1 for n, t in tasks.items() if n != "close")


def test_a_review_records_before_it_promotes(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["promotion_review"]["tasks"]
    assert tasks["promote"]["up"] == ["record"]
    assert "decision" in tasks["record"]["up"]


def test_assets_name_what_a_night_makes(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["nightly_retrain"]["tasks"]
    made = {name: t["outlets"] for name, t in tasks.items() if t["outlets"]}
    assert made == {
        "ingest": ["clean_log"],
        "embed": ["embeddings"],
        "build_log": ["bandit_log"],
        "register": ["registered_version"],
        "request_review": ["review_wanted"],
    }
