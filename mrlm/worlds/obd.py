"""The Open Bandit sample inside ``obp`` as a log: seven real days of a fashion shop.

Saito et al., Open Bandit Dataset and Pipeline, 2021: rows of 24 to 30 November 2019, with the true
propensities of a uniform and of a Thompson sampling arm.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
from numpy.typing import NDArray

from mrlm.worlds.extra import DemoPackageMissingError
from mrlm.worlds.lines import dump, write_lines

USER_COLUMNS = [f"user_feature_{i}" for i in range(4)]
KINDS = ("item_feature_1", "item_feature_2", "item_feature_3")


def write_obd(
    folder: Path,
    *,
    arm: Literal["random", "bts"] = "random",
    campaign: Literal["all", "men", "women"] = "all",
) -> dict[str, Any]:
    """Write one arm of the Open Bandit sample as the three raw tables, one night a day.

    The layout is that of ``write_replay``, without truth and without dirt. Every row is a request
    of its own that keeps its position. The data has no user identifier: the combination of the
    four hashed user features stands in for it, so one such user can be several people. Items have
    no text either: hashed attributes are put into words, numbered in the order of their hashes.
    Every item of the campaign is a candidate. The uniform arm logs the propensity of every
    candidate; for the Thompson arm only that of the shown item is known. Clicks have no time of
    their own and get that of their impression. Item attributes hash differently in the two arms:
    never join them across arms.

    Returns:
        What ``world.json`` says: ``nights`` {night: {impressions, feedback, items: counts}}.

    Raises:
        DemoPackageMissingError: obp is not installed.
        ValueError: no such arm or campaign.
    """
    if arm not in ("random", "bts") or campaign not in ("all", "men", "women"):
        raise ValueError(f"no arm {arm!r} of campaign {campaign!r}: random or bts; all, men, women")
    wanted = ["timestamp", "item_id", "position", "click", "propensity_score", *USER_COLUMNS]
    table = _read(f"{arm}/{campaign}/{campaign}.csv", wanted)
    items = _items(_read(f"{arm}/{campaign}/item_context.csv", None))
    candidates = sorted(row["item_id"] for row in items)
    user = _pseudo_users(table)
    ts = table["timestamp"].cast(pa.timestamp("us")).to_numpy()
    order = np.argsort(ts, kind="stable")
    date = ts.astype("datetime64[D]")
    columns = {c: table[c].to_pylist() for c in wanted[1:5]}
    text = [f"{t}Z" for t in np.datetime_as_string(ts, unit="us").tolist()]
    rng = np.random.default_rng(0)
    nights: dict[str, Any] = {}
    for number, night in enumerate(np.unique(date)):
        impressions, feedback = [], []
        for i in order[date[order] == night].tolist():
            row: dict[str, Any] = {
                "request_id": f"{arm}-{i:06d}",
                "ts": text[i],
                "user_id": user[i],
                "scene": "home",
                "position": columns["position"][i],
                "item_id": f"i{columns['item_id'][i]}",
                "propensity": columns["propensity_score"][i],
                "candidates": candidates,
                "propensity_kind": "conditional",
                "policy_id": arm,
                "context": {"hour": float(text[i][11:13])},
            }
            if arm == "random":
                row["candidate_propensities"] = [row["propensity"]] * len(candidates)
            impressions.append(dump(row))
            if columns["click"][i]:
                event = {"event_id": f"{arm}-{i:06d}-click", "event": "click", "value": 1.0}
                feedback.append(dump({k: row[k] for k in ("request_id", "item_id", "ts")} | event))
        lines = {
            "impressions": impressions,
            "feedback": feedback,
            "items": [dump(r | {"updated_at": f"{night}T00:00:00Z"}) for r in items if number == 0],
        }
        nights[str(night)] = {
            name: write_lines(folder / name / f"dt={night}" / "part-0.jsonl", rows, [], rng)
            for name, rows in lines.items()
        }
    for counts in nights.values():
        counts["feedback"]["unattributed"] = 0
    world = {
        "kind": "obd",
        "arm": arm,
        "campaign": campaign,
        "slots": len(table),
        "items": len(items),
        "pseudo_users": len(set(user)),
        "clicks": int(pc.sum(table["click"]).as_py()),
        "nights": nights,
    }
    (folder / "world.json").write_text(json.dumps(world, indent=1, sort_keys=True) + "\n")
    return world


def _read(name: str, columns: list[str] | None) -> pa.Table:
    try:
        found = [f for f in files("obp") or () if str(f).endswith(f"dataset/obd/{name}")]
    except PackageNotFoundError as e:
        raise DemoPackageMissingError("obp") from e
    if not found:
        raise DemoPackageMissingError("obp")
    options = pcsv.ConvertOptions(include_columns=columns)
    return pcsv.read_csv(str(found[0].locate()), convert_options=options)


def _items(context: pa.Table) -> list[dict[str, Any]]:
    place = {k: _numbered(context[k].to_pylist()) for k in KINDS}
    level = np.array(context["item_feature_0"].to_pylist(), np.float64)
    third = np.searchsorted(np.quantile(level, [1 / 3, 2 / 3]), level, side="right")
    rows = []
    for i, number in enumerate(context["item_id"].to_pylist()):
        kind, brand, group = (place[k][i] for k in KINDS)
        words = ("low", "medium", "high")[int(third[i])]
        rows.append(
            {
                "item_id": f"i{number}",
                "text": f"A fashion item of kind {kind}, brand {brand} and group {group}, "
                f"with a {words} first attribute ({level[i]:.2f}).",
                "category": f"kind {kind}|group {group}",
                "provider": f"brand {brand}",
                "attributes": {"first": float(level[i])},
            }
        )
    return rows


def _pseudo_users(table: pa.Table) -> list[str]:
    features = [table[c].to_pylist() for c in USER_COLUMNS]
    joined = ["|".join(row) for row in zip(*features, strict=True)]
    return [f"p{k:04d}" for k in _numbered(joined)]


def _numbered(values: list[str]) -> NDArray[np.int64]:
    """Rank from 1 of each value among the distinct ones, int64."""
    return np.unique(np.array(values, object), return_inverse=True)[1].astype(np.int64) + 1
