"""The engine's log and the fresh contexts as our bandit log: a user's views are the history."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Histories, Objective, Ragged
from mrlm.log_mapping.experience_log import convert_experience_log

Floats = NDArray[np.float64]
VIEW = "view"
# A decision that expired had no reward: it is unknown, and no 0 as the engine has it.
CLICK = Objective(name="click", source="feedback", role="north_star", event="reward", missing=None)


@dataclass(frozen=True)
class Fresh:
    """n contexts of new users.

    Attributes:
        decisions: all k products are candidates of each.
        truth: float64, shape (n, k), click probabilities.
        engine: int64, shape (n,), what the engine's greedy policy takes.
        path: str, shape (n,), of the world, as the script names them.
    """

    decisions: Decisions
    truth: Floats
    engine: NDArray[np.int64]
    path: NDArray[np.str_]


def log_of(found: Mapping[str, Any]) -> BanditLog:
    """What the script printed of the log, by the conversion of ``mrlm logs convert``."""
    with tempfile.TemporaryDirectory() as folder:
        lines, tables = Path(folder, "log.jsonl"), Path(folder, "tables")
        lines.write_text("\n".join(found["lines"]), encoding="utf-8")
        convert_experience_log([lines], tables)
        impressions, feedback = list(_rows(tables, "impressions")), list(_rows(tables, "feedback"))
    names = impressions[0]["candidates"]
    came = {e["request_id"]: e["value"] for e in feedback if e["event"] == CLICK.event}
    n, products = len(impressions), len(names)
    catalog = _catalog(names)
    ts = np.array([row["ts"].removesuffix("+00:00") for row in impressions], "datetime64[us]")
    decisions = _decisions(found["log"], catalog, ts, "u")
    action = np.array([names.index(row["item_id"]) for row in impressions], np.int64)
    rewards = np.array([[came.get(row["request_id"], np.nan)] for row in impressions])
    return BanditLog(
        decisions=decisions,
        decision_id=np.array([f"{row['request_id']}#1" for row in impressions], object),
        night=ts.astype("datetime64[D]"),
        session=decisions.user,
        session_step=_steps(decisions.user),
        action=action,
        propensity=np.array([row["propensity"] for row in impressions]),
        # Its log tells the probability of what was shown alone.
        candidate_propensity=np.full(n * products, np.nan),
        policy_id=np.array([row["policy_id"] for row in impressions], object),
        objectives=(CLICK,),
        rewards=rewards,
        final=np.ones((n, 1), np.bool_),
        unknown=np.zeros((n, 1), np.bool_),
        lost=np.zeros((n, 1), np.int64),
    )


def fresh_of(found: Mapping[str, Any], log: BanditLog) -> Fresh:
    """What the script printed of the fresh contexts, a moment after the log."""
    catalog, after = log.decisions.catalog, log.decisions.ts.max()
    parts = found["fresh"]
    return Fresh(
        decisions=Decisions.concat(
            [
                _decisions(part, catalog, np.full(len(part["user"]), after), path)
                for path, part in parts.items()
            ]
        ),
        truth=np.concatenate([part["truth"] for part in parts.values()]),
        engine=np.concatenate([part["gittins"] for part in parts.values()]),
        path=np.repeat(list(parts), [len(part["user"]) for part in parts.values()]),
    )


def _rows(tables: Path, name: str) -> Iterator[dict[str, Any]]:
    for file in sorted(tables.glob(f"{name}/*/*.jsonl")):
        yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())


def _catalog(names: list[str]) -> Catalog:
    """Products of which nothing is known but that they are different."""
    return Catalog.of_names(names).with_embedding(np.eye(len(names), dtype=np.float32))


def _decisions(
    rounds: Mapping[str, Any], catalog: Catalog, ts: NDArray[np.datetime64], prefix: str
) -> Decisions:
    user, products, n = np.array(rounds["user"]), len(catalog), len(ts)
    offsets = np.concatenate([[0], np.cumsum([len(views) for views in rounds["views"]])])
    views = Ragged(offsets, np.concatenate(rounds["views"]).astype(np.int32))
    return Decisions(
        catalog=catalog,
        user=np.array([f"{prefix}{u}" for u in user], object),
        scene=np.full(n, "home", object),
        position=np.ones(n, np.int32),
        ts=ts,
        candidates=Ragged(
            np.arange(n + 1) * products, np.tile(np.arange(products, dtype=np.int32), n)
        ),
        histories=Histories.of_lists(views, np.ones(len(views.values), np.float32), (VIEW,)),
        since=offsets[user],
        until=offsets[user] + np.array(rounds["seen"]),
        request=np.arange(n),
        above=Ragged(np.zeros(n + 1, np.int64), np.zeros(0, np.int32)),
    )


def _steps(user: NDArray[np.object_]) -> NDArray[np.int32]:
    """Number of each row within its user, whose rows lie together."""
    first = np.flatnonzero(np.concatenate([[True], user[1:] != user[:-1]]))
    return (np.arange(len(user)) - np.repeat(first, np.diff([*first, len(user)]))).astype(np.int32)
