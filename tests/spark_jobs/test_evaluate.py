from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.ope import estimates
from mrlm.ope.table import evaluate_table
from spark_jobs.contract.errors import InputError
from spark_jobs.evaluate import evaluate

pytestmark = pytest.mark.spark


def log(n=3000, users=200) -> pd.DataFrame:
    g = np.random.default_rng(0)
    action = g.integers(0, 2, n)
    return pd.DataFrame(
        {
            "user_id": [f"u{u}" for u in g.integers(0, users, n)],
            "propensity": np.full(n, 0.5),
            "target_probability_a": np.where(action == 1, 0.8, 0.2),
            "target_probability_b": np.where(action == 1, 0.4, 0.6),
            "reward": g.random(n) * (0.2 + 0.2 * action),
            "q_hat": 0.1 + 0.1 * action,
            "v_hat_a": 0.17 + 0.02 * g.random(n),
            "v_hat_b": 0.13 + 0.02 * g.random(n),
        }
    )


def test_partitions_give_what_one_machine_gives(spark, tmp_path):
    rows = log()
    pq.write_table(pa.Table.from_pandas(rows), tmp_path / "log.parquet")
    local = evaluate_table(tmp_path / "log.parquet")
    states = evaluate(spark.createDataFrame(rows).repartition(5))
    assert len(states) == 5 * 3
    for e in (*local.estimates, *local.differences):
        f = estimates(states[e.estimator, tuple(d.policy for d in e.diagnostics)])[e.objective]
        for field in ("value", "standard_error", "degrees_of_freedom", "lower", "upper"):
            assert getattr(f, field) == pytest.approx(getattr(e, field), rel=1e-9, abs=1e-12)
        assert f.certificate == e.certificate
        assert (f.rows, f.users) == (e.rows, e.users)


def test_what_cannot_be_evaluated_is_refused(spark):
    rows = spark.createDataFrame(log(20))
    with pytest.raises(InputError, match="propensity"):
        evaluate(rows.drop("propensity"))
    with pytest.raises(InputError, match="user_id"):
        evaluate(rows.drop("user_id"))
    with pytest.raises(InputError, match="no rows"):
        evaluate(rows.limit(0))
