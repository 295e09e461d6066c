"""What the tests of tables share."""

from __future__ import annotations

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq


def written(tmp_path, table, name="log.parquet"):
    path = tmp_path / name
    (pa_csv.write_csv if path.suffix == ".csv" else pq.write_table)(table, path)
    return path


def by_key(found):
    return {(e.policy, e.estimator): e for e in (*found.estimates, *found.differences)}
