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

    A line with several slots (``_outcomes``, as a conditional contextual bandit logs them) is a
    slate: each outcome has its own ``_label_cost``, its remaining actions ``_a`` and their
    probabilities ``_p``, the shown one first, given the slots above. The policies' probabilities
    and predictions stand in the outcome; without any the policy is ``uniform``.

    Raises:
        ValueError: a line is not JSON or lacks what a decision has; file and line are named.
    """
    names: list[str] | None = None
    with path.open(encoding="utf-8") as file:
        numbered = enumerate(file, 1)
        while lines := list(islice(numbered, _LINES_AT_ONCE)):
            rows = [r for at, text in lines for r in _rows(path, at, text)]
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
                {n: pa.array([r[n] for r in rows], _type(n)) for n in names}
            )
    if names is None:
        raise ValueError(f"{path}: no line has a decision (_label_cost and _label_probability)")


def _rows(path: Path, at: int, text: str) -> list[dict[str, float]]:
    """The decision of a line, or the slots of its slate; none where it has neither."""
    if not text.strip():
        return []
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: line {at} is not JSON: {error}") from None
    if not isinstance(line, dict):
        raise ValueError(f"{path}: line {at} is not a JSON object")
    if line.get("pdrop"):
        raise ValueError(
            f"{path}: line {at} says that lines were dropped (pdrop {line['pdrop']}); evaluate the "
            "whole log"
        )
    if line.get("_skipLearn") or line.get("skipLearn"):
        return []
    if "_outcomes" in line:
        return _slots(path, at, line)
    if "_label_cost" not in line:
        return []
    return [
        {
            "propensity": _number(path, at, line, "_label_probability"),
            "reward": -_number(path, at, line, "_label_cost"),
            **_policies(path, at, line),
        }
    ]


def _slots(path: Path, at: int, line: dict[str, Any]) -> list[dict[str, float]]:
    outcomes = line["_outcomes"]
    if not isinstance(outcomes, list) or not all(isinstance(o, dict) for o in outcomes):
        raise ValueError(f"{path}: line {at}: _outcomes must be a list of objects")
    if "_label_cost" in line:
        raise ValueError(
            f"{path}: line {at} has one cost for all its slots; slots with costs of their own are "
            "read"
        )
    found = []
    for slot, outcome in enumerate(outcomes):
        actions, shares = outcome.get("_a"), outcome.get("_p")
        lists = isinstance(actions, list) and isinstance(shares, list)
        if not lists or not actions or len(actions) != len(shares):
            raise ValueError(
                f"{path}: line {at}, slot {slot}: _a and _p must be lists of one length, the shown "
                "action first"
            )
        found.append(
            {
                "request_id": at,
                "slot": slot,
                "propensity": _number(path, at, {"_p": shares[0]}, "_p"),
                "reward": -_number(path, at, outcome, "_label_cost"),
                **(_given(path, at, outcome) or {f"{TARGET}_uniform": 1.0 / len(actions)}),
            }
        )
    return found


def _given(path: Path, at: int, line: dict[str, Any]) -> dict[str, float]:
    """The probabilities and predictions in a line, empty where it has no probability."""
    given = sorted(k for k in line if k.startswith((TARGET, "q_hat", "v_hat")))
    if not any(k.startswith(TARGET) for k in given):
        return {}
    return {k: _number(path, at, line, k) for k in given}


def _policies(path: Path, at: int, line: dict[str, Any]) -> dict[str, float]:
    given = _given(path, at, line)
    if given:
        return given
    actions = line.get("a")
    if not isinstance(actions, list) or not actions:
        raise ValueError(f"{path}: line {at} has no list of actions 'a'")
    shown = line.get("_labelIndex")
    first = shown == 0 if shown is not None else line.get("_label_Action", actions[0]) == 1
    return {f"{TARGET}_first": float(first), f"{TARGET}_uniform": 1.0 / len(actions)}


def _type(name: str) -> pa.DataType:
    return pa.int64() if name == "request_id" else pa.float64()


def _number(path: Path, at: int, line: dict[str, Any], name: str) -> float:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{path}: line {at}: {name} must be a number; got {value!r}")
    return float(value)
