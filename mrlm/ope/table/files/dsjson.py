"""Decision lines of Vowpal Wabbit (dsjson) as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mrlm.ope.table.columns.columns import TARGET
from mrlm.ope.table.columns.listed import listed
from mrlm.ope.table.files.file_error import FileError
from mrlm.ope.table.files.text_lines import JSON_LINE, lines_of

_CELLS_AT_ONCE = 1 << 19
_LETTERS = 60


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
    rows: list[dict[str, float]] = []
    for at, text in lines_of(path, JSON_LINE):
        where = _Place(path, f"line {at}")
        for row in _rows(where, at, text):
            names = names or [*row]
            if row.keys() != set(names):
                raise where.wrong(
                    f" has {listed(sorted(row))} where the first decision has "
                    f"{listed(sorted(names))}; every line needs the same policies and predictions"
                )
            rows.append(row)
        if len(rows) * len(names or ()) >= _CELLS_AT_ONCE and names:
            yield _batch(rows, names)
            rows = []
    if names is None:
        raise FileError(path, "no line has a decision (_label_cost and _label_probability)")
    if rows:
        yield _batch(rows, names)


@dataclass(frozen=True)
class _Place:
    """A line of a file, or a slot in one, for messages."""

    path: Path
    place: str

    def wrong(self, problem: str) -> FileError:
        return FileError(self.path, self.place + problem)


def _batch(rows: list[dict[str, float]], names: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({n: pa.array([r[n] for r in rows], _type(n)) for n in names})


def _rows(where: _Place, at: int, text: str) -> list[dict[str, float]]:
    """The decision of a line, or the slots of its slate; none where it has neither."""
    if not text.strip():
        return []
    try:
        line = json.loads(text)
    except RecursionError:
        raise where.wrong(" is nested too deep for a decision") from None
    except ValueError as error:
        raise where.wrong(f" is not JSON: {error}") from None
    if not isinstance(line, dict):
        raise where.wrong(" is not a JSON object")
    if line.get("pdrop"):
        raise where.wrong(
            f" says that lines were dropped (pdrop {_short(line['pdrop'])}); evaluate the whole log"
        )
    if line.get("_skipLearn") or line.get("skipLearn"):
        return []
    if "_outcomes" in line:
        return _slots(where, at, line)
    if "_label_cost" not in line:
        return []
    return [
        {
            "propensity": _number(where, line, "_label_probability"),
            "reward": -_number(where, line, "_label_cost"),
            **_policies(where, line),
        }
    ]


def _slots(where: _Place, at: int, line: dict[str, Any]) -> list[dict[str, float]]:
    outcomes = line["_outcomes"]
    if not isinstance(outcomes, list) or not all(isinstance(o, dict) for o in outcomes):
        raise where.wrong(": _outcomes must be a list of objects")
    if "_label_cost" in line:
        raise where.wrong(" has one cost for all its slots; slots with costs of their own are read")
    found = []
    for slot, outcome in enumerate(outcomes):
        actions, shares = outcome.get("_a"), outcome.get("_p")
        here = _Place(where.path, f"line {at}, slot {slot}")
        lists = isinstance(actions, list) and isinstance(shares, list)
        if not lists or not actions or len(actions) != len(shares):
            raise here.wrong(": _a and _p must be lists of one length, the shown action first")
        _check_actions(here, "_a", actions, _offered(line), first=0)
        _check_shares(here, "_p", shares)
        found.append(
            {
                "request_id": at,
                "slot": slot,
                "propensity": _number(where, {"_p": shares[0]}, "_p"),
                "reward": -_number(where, outcome, "_label_cost"),
                **(_given(where, outcome) or {f"{TARGET}_uniform": 1.0 / len(actions)}),
            }
        )
    return found


def _given(where: _Place, line: dict[str, Any]) -> dict[str, float]:
    """The probabilities and predictions in a line, empty where it has no probability."""
    given = sorted(k for k in line if k.startswith((TARGET, "q_hat", "v_hat")))
    if not any(k.startswith(TARGET) for k in given):
        return {}
    return {k: _number(where, line, k) for k in given}


def _policies(where: _Place, line: dict[str, Any]) -> dict[str, float]:
    shown = _shown(where, line)
    given = _given(where, line)
    if given:
        return given
    if shown is None:
        raise where.wrong(" has no list of actions 'a'")
    return {f"{TARGET}_first": float(shown == 0), f"{TARGET}_uniform": 1.0 / len(line["a"])}


def _shown(where: _Place, line: dict[str, Any]) -> int | None:
    """Number of the shown action, from 0; None where the line lists no actions.

    Raises:
        ValueError: the actions, their probabilities and the label contradict each other.
    """
    actions, shares = line.get("a"), line.get("p")
    if actions is None:
        return None
    if not isinstance(actions, list) or not actions:
        raise where.wrong(" has no list of actions 'a'")
    _check_actions(where, "a", actions, len(actions), first=1)
    if shares is not None:
        if not isinstance(shares, list) or len(shares) != len(actions):
            raise where.wrong(f": p must be a list as long as a, {len(actions)} actions")
        _check_shares(where, "p", shares)
    places = {
        name: value - base
        for name, base in (("_labelIndex", 0), ("_label_Action", 1))
        if (value := _index(where, line, name, base, len(actions))) is not None
    }
    if len(set(places.values())) > 1:
        raise where.wrong(
            f": _labelIndex {line['_labelIndex']}, which counts from 0, and _label_Action "
            f"{line['_label_Action']}, which counts from 1, are not the same action"
        )
    # Without a label the shown action is the first of the list, whose names count from 1.
    return next(iter(places.values()), actions[0] - 1)


def _index(where: _Place, line: dict[str, Any], name: str, base: int, actions: int) -> int | None:
    value = line.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value - base < actions:
        raise where.wrong(
            f": {name} must be one of the {actions} actions, {base} to "
            f"{actions - 1 + base}; got {_short(value)}"
        )
    return value


def _offered(line: dict[str, Any]) -> int | None:
    """Actions that a line with slots offers; None where it does not say."""
    context = line.get("c")
    offered = context.get("_multi") if isinstance(context, dict) else None
    return len(offered) if isinstance(offered, list) else None


def _check_actions(
    where: _Place, name: str, actions: list[Any], offered: int | None, first: int
) -> None:
    whole = all(isinstance(a, int) and not isinstance(a, bool) and a >= first for a in actions)
    if not whole or len(set(actions)) < len(actions):
        raise where.wrong(f": {name} must hold different numbers of actions, from {first} on")
    if offered is not None and max(actions) - first >= offered:
        raise where.wrong(
            f": {name} names action {max(actions)}, and there are {offered} actions, from "
            f"{first} on"
        )


def _check_shares(where: _Place, name: str, shares: list[Any]) -> None:
    for share in shares:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise where.wrong(f": {name} must hold probabilities, 0 to 1; one is {_short(share)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LETTERS else text[:_LETTERS] + "…"


def _type(name: str) -> pa.DataType:
    return pa.int64() if name == "request_id" else pa.float64()


def _number(where: _Place, line: dict[str, Any], name: str) -> float:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise where.wrong(f": {name} must be a number; got {_short(value)}")
    try:
        return float(value)
    except OverflowError:
        raise where.wrong(f": {name} is too large a number") from None
