from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.deployment import ROOT


def ope(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", "ope", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of two policies and their predictions."""
    g = np.random.default_rng(0)
    n, action = 3000, g.integers(0, 2, 3000)
    table = pa.table(
        {
            "user_id": g.integers(0, 400, n),
            "propensity": np.full(n, 0.5),
            "target_probability_new": np.where(action == 1, 0.8, 0.2),
            "target_probability_old": np.where(action == 1, 0.4, 0.6),
            "reward_click": (g.random(n) < 0.2 + 0.2 * action).astype(float),
            "q_hat": 0.25 + 0.1 * action,
            "v_hat_new": np.full(n, 0.33),
            "v_hat_old": np.full(n, 0.29),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    return tmp_path


def test_table_json_and_page(folder: Path) -> None:
    done = ope("log.parquet", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "new - old" in done.stdout
    assert "certified" in done.stdout
    assert "(1) dm covers its own target" in done.stdout
    assert "clipped_ips" not in done.stdout

    done = ope("log.parquet", "--estimators", "ips,clipped_ips", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "clipped_ips(tuned) covers its own target" in done.stdout
    assert "new, click: clipped_ips(tuned) is clipped_ips(clip=" in done.stdout

    done = ope("log.parquet", "--json", "--level", "0.9", "--html", "page.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (paired,) = (d for d in found["differences"] if d["estimator"] == "dr")
    assert paired["certified"]
    assert paired["level"] == 0.9
    assert 0 < paired["lower"] < paired["value"] < paired["upper"]

    page = (folder / "page.html").read_text()
    assert len(re.findall(r'src="data:image/png;base64,', page)) == 3
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "new - old" in page
    assert "effective sample size" in page


def test_slates_and_sessions(folder: Path) -> None:
    g = np.random.default_rng(1)
    n = 2000
    columns = {
        "propensity": np.full(2 * n, 0.5),
        "target_probability": np.where(g.random(2 * n) < 0.5, 0.6, 0.4),
        "reward": (g.random(2 * n) < 0.3).astype(float),
    }
    for name, place in (("request_id", "slot"), ("session_id", "step")):
        table = pa.table({name: np.repeat(np.arange(n), 2), place: np.tile([0, 1], n), **columns})
        pq.write_table(table, folder / f"{place}.parquet")
    done = ope("slot.parquet", "--html", "page.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "value of a slate" in done.stdout
    assert "reward: use snsips" in done.stdout
    assert "iips needs propensities of kind marginal" in done.stdout
    page = (folder / "page.html").read_text()
    assert "values are of a slate" in page
    assert "iips needs propensities of kind marginal" in page
    assert len(re.findall(r'src="data:image/png;base64,', page)) == 2

    done = ope("slot.parquet", "--propensity-kind", "marginal", "--json", cwd=folder)
    found = {e["estimator"]: e for e in json.loads(done.stdout)["estimates"]}
    assert found["iips"]["value"] is not None
    assert found["sips"]["value"] is None

    done = ope("step.parquet", "--discount", "0.5", "--json", cwd=folder)
    whole = json.loads(done.stdout)
    assert {e["estimand"] for e in whole["estimates"]} == {"per session"}
    assert whole["selected"] == {"reward": "sn_per_decision_is, discount 0.5"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere.parquet"], 10, "there is no file nowhere.parquet"),
        (["log.txt"], 10, "unknown format"),
        (["log.parquet", "--estimators", "ips,x"], 10, "unknown estimators ['x']"),
        (["log.parquet", "--html", "nowhere/page.html"], 10, "nowhere/page.html: the page cannot"),
        (["log.parquet", "--level", "95"], 10, "between 0 and 1"),
        (["log.parquet", "--sorted-by-user"], 10, "sort by user"),
        (["log.parquet", "--round", "slate"], 10, "needs the columns request_id and slot"),
        ([], 2, "Missing argument"),
    ],
)
def test_errors_say_what_to_do(folder: Path, arguments: list[str], code: int, says: str) -> None:
    (folder / "log.txt").write_text("x")
    done = ope(*arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
