"""Decision lines of Vowpal Wabbit (dsjson) as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from mrlm.ope.table.columns import TARGET

_LINES_AT_ONCE = 1 << 16


def dsjson_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The decisions of a dsjson file; the reward is minus ``_label_cost``.

    A line may carry ``target_probability`` or ``target_probability_NAME``, the probability of the
    shown action under a policy, and likewise ``q_hat`` and ``v_hat``. Where the first line has
    none, the policies are ``first``, always the first action, and ``uniform``. Lines without a
    decision, and those to be skipped in learning, are left out.

    Raises:
        ValueError: a line is not JSON or lacks what a decision has; file and line are named.
    """
    names: list[str] | None = None
    with path.open(encoding="utf-8") as file:
        numbered = enumerate(file, 1)
        while lines := list(islice(numbered, _LINES_AT_ONCE)):
            rows = [r for at, text in lines if (r := _decision(path, at, text)) is not None]
            if not rows:
                continue
            names = names or [*rows[0]]
            for row in rows:
                if [*row] != names:
                    raise ValueError(
                        f"{path}: a line has {sorted(row)} where the first decision has "
                        f"{sorted(names)}; every line needs the same policies and predictions"
                    )
            yield pa.RecordBatch.from_pydict(
                {n: pa.array([r[n] for r in rows], pa.float64()) for n in names}
            )
    if names is None:
        raise ValueError(f"{path}: no line has a decision (_label_cost and _label_probability)")


def _decision(path: Path, at: int, text: str) -> dict[str, float] | None:
    if not text.strip():
        return None
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: line {at} is not JSON: {error}") from None
    if not isinstance(line, dict):
        raise ValueError(f"{path}: line {at} is not a JSON object")
    if "_outcomes" in line:
        raise ValueError(f"{path}: line {at} has several slots; one decision a line is read")
    if line.get("pdrop"):
        raise ValueError(
            f"{path}: line {at} says that lines were dropped (pdrop {line['pdrop']}); evaluate the "
            "whole log"
        )
    if "_label_cost" not in line or line.get("_skipLearn") or line.get("skipLearn"):
        return None
    return {
        "propensity": _number(path, at, line, "_label_probability"),
        "reward": -_number(path, at, line, "_label_cost"),
        **_policies(path, at, line),
    }


def _policies(path: Path, at: int, line: dict[str, Any]) -> dict[str, float]:
    given = sorted(k for k in line if k.startswith((TARGET, "q_hat", "v_hat")))
    if any(k.startswith(TARGET) for k in given):
        return {k: _number(path, at, line, k) for k in given}
    actions = line.get("a")
    if not isinstance(actions, list) or not actions:
        raise ValueError(f"{path}: line {at} has no list of actions 'a'")
    shown = line.get("_labelIndex")
    first = shown == 0 if shown is not None else line.get("_label_Action", actions[0]) == 1
    return {f"{TARGET}_first": float(first), f"{TARGET}_uniform": 1.0 / len(actions)}


def _number(path: Path, at: int, line: dict[str, Any], name: str) -> float:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{path}: line {at}: {name} must be a number; got {value!r}")
    return float(value)
