"""What the MLflow run of a version shows: figures, nights, data and curves."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import Any

from mrlm.evidence.evidence import Evidence
from mrlm.metrics.curves import Curves

# Limit of MLflow's tables, which SQLite does not enforce and Postgres does.
_DIGEST_LENGTH = 36


def log_evidence(client: Any, run_id: str, evidence: Evidence) -> None:
    """Its figures as metrics, its nights as parameters, what was read as datasets."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    now = int(time.time() * 1000)
    figures: dict[str, float | None] = {f"weight/{n}": w for n, w in evidence.weights.items()}
    for what, estimates in [*evidence.policies.items(), ("difference", evidence.differences)]:
        for estimator, objectives in estimates.items():
            for objective, e in objectives.items():
                figures[f"{what}/{estimator}/{objective}"] = e.value
                figures[f"{what}/{estimator}/{objective}/lower"] = e.lower
    metrics = [Metric(_metric_name(n), v, now, 0) for n, v in figures.items() if v is not None]
    _log_metrics(client, run_id, metrics)
    params = {
        "north_star": evidence.north_star,
        "fit_nights": " ".join(evidence.fit_nights),
        "tune_nights": " ".join(evidence.tune_nights),
        "gate_nights": " ".join(evidence.gate_nights),
        "rows": str(evidence.rows),
        "users": str(evidence.users),
    }
    client.log_batch(run_id, params=[Param(n, v) for n, v in params.items()])
    client.log_inputs(
        run_id,
        [
            DatasetInput(
                Dataset(
                    name=name,
                    digest=fingerprint[:_DIGEST_LENGTH],
                    source_type="mrlm",
                    source=json.dumps({"fingerprint": fingerprint}),
                ),
                [InputTag("mlflow.data.context", "evaluation")],
            )
            for name, fingerprint in sorted(evidence.data.items())
        ],
    )


def _metric_name(figure: str) -> str:
    """The figure's name in what MLflow takes: ``dr (stratified)`` has no brackets there."""
    return re.sub(r"[^\w/.\- :]", "", figure)


def log_curves(client: Any, run_id: str, curves: Curves) -> None:
    """Each curve as a metric ``curve/<name>`` with its steps."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    _log_metrics(
        client,
        run_id,
        [
            Metric(f"curve/{name}", value, now, step)
            for name, points in curves.points.items()
            for step, value in points
        ],
    )


def _log_metrics(client: Any, run_id: str, metrics: Sequence[Any]) -> None:
    # As many as MLflow takes at once.
    for start in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[start : start + 1000])
