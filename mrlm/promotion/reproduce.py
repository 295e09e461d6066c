"""Load one version as a server would and compare its probabilities with the stored ones.

Run in a fresh process, with the version's own code on the path:
``python -m mrlm.promotion.reproduce MODEL_FOLDER RESULT.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mrlm.promotion.reproduction.reproduction import largest_difference, read_reproduction
from mrlm.promotion.serving.states import read_states

# Requests that are also sent through ``predict``; the rest compare probabilities alone.
_SERVED = 20


def reproduce(model_folder: Path) -> dict[str, Any]:
    """Largest gap between the stored probabilities and those of the loaded version.

    Returns:
        ``rows``, ``largest_difference`` over every candidate of every stored row, and
        ``served_difference`` between the propensities of the first slot that ``predict`` gives and
        the stored ones.
    """
    import mlflow

    model = mlflow.pyfunc.load_model(str(model_folder))
    bundle = model.unwrap_python_model().bundle
    stored = read_reproduction(model_folder / "artifacts" / "reproduction.parquet")
    probabilities = np.exp(bundle.policy.log_probabilities(read_states(stored, bundle.catalog)))
    return {
        "rows": len(stored),
        "largest_difference": largest_difference(stored, probabilities),
        "served_difference": _served_difference(model, stored.to_pylist()),
    }


def _served_difference(model: Any, stored: list[dict[str, Any]]) -> float:
    import pandas as pd

    tops = [r for r in stored if not r["above"] and r["position"] == 1][:_SERVED]
    if not tops:
        return 0.0
    frame = pd.DataFrame(
        {
            "request_id": [str(i) for i in range(len(tops))],
            "user": [r["user"] for r in tops],
            "scene": [r["scene"] for r in tops],
            "ts": pd.to_datetime([r["ts"] for r in tops]).tz_localize(None),
            "candidates": [r["candidates"] for r in tops],
            "history_items": [r["history_items"] for r in tops],
            **_rewards_of(tops),
        }
    )
    answered = model.predict(frame, params={"k": 1, "seed": 0})
    gaps = [
        abs(chance[0] - row["probabilities"][row["candidates"].index(items[0])])
        for row, items, chance in zip(
            tops, answered["items"], answered["propensities"], strict=True
        )
    ]
    return float(max(gaps))


def _rewards_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The column of rewards that the rows have; the other one would be empty everywhere."""
    if rows[0].get("history_rewards") is not None:
        return {"history_rewards": [dict(r["history_rewards"]) for r in rows]}
    return {"history_values": [r["history_values"] for r in rows]}


def main() -> None:
    """Write the comparison as JSON to the path given last."""
    result = reproduce(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
