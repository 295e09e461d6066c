"""Nights of a true log at any size: items are drawn with the propensities that are logged."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_FIRST = date(2026, 1, 1)
_ITEMS, _CANDIDATES, _SLOTS, _REQUESTS_PER_USER = 2_003, 20, 5, 4
_DAY = 86_400_000_000
_SETTINGS = """
workspace = "workspace"

[inputs.impressions]
path = "raw/impressions/dt={night}"
format = "parquet"

[inputs.feedback]
path = "raw/feedback/dt={night}"
format = "parquet"

[inputs.items]
path = "raw/items/dt={night}"
format = "parquet"

[state]
history_objective = "click"

[embedding]
encoder = "hashing"
dimensions = 64

[[objectives]]
name = "click"
source = "feedback"
role = "north_star"
event = "click"
"""


def write(folder: Path, nights: int, rows: int) -> None:
    """Write nights of so many impressions each, and the settings that read them."""
    (folder / "mrlm.toml").write_text(_SETTINGS)
    popular = np.random.default_rng(1).gumbel(size=_ITEMS)
    for n in range(nights):
        night = _FIRST + timedelta(days=n)
        shown, clicks = _night(night, rows, popular, np.random.default_rng((2, n)))
        _save(shown, folder / "raw/impressions", night)
        _save(clicks, folder / "raw/feedback", night)
    names = _named("item-", np.arange(_ITEMS))
    texts = pc.binary_join_element_wise("What is known of ", names, "")
    _save(pa.table({"item_id": names, "text": texts}), folder / "raw/items", _FIRST)


def _night(
    night: date, rows: int, popular: np.ndarray, rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    first, stride = rng.integers(_ITEMS, size=rows), rng.integers(1, _ITEMS, size=rows)
    codes = (first[:, None] + stride[:, None] * np.arange(_CANDIDATES)) % _ITEMS
    weight = np.exp(0.5 * popular[codes])
    chance = weight / weight.sum(axis=1, keepdims=True)
    place = (np.cumsum(chance, axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, _CANDIDATES - 1)
    at = np.arange(rows)
    request = at // _SLOTS
    midnight = int((datetime.combine(night, datetime.min.time()) - datetime(1970, 1, 1)).days)
    moment = midnight * _DAY + (request * 7_919) % 86_000 * 1_000_000
    items = _named("item-", codes[at, place])
    requests = _named(f"{night}-", request)
    shown = pa.table(
        {
            "request_id": requests,
            "ts": pa.array(moment, pa.timestamp("us", "UTC")),
            "user_id": _named("user-", request // _REQUESTS_PER_USER),
            "position": pa.array(at % _SLOTS + 1, pa.int32()),
            "item_id": items,
            "propensity": chance[at, place],
            "candidates": _lists(_named("item-", codes.ravel())),
            "candidate_propensities": _lists(pa.array(chance.ravel())),
        }
    )
    clicked = np.flatnonzero(rng.random(rows) < 0.3)
    clicks = pa.table(
        {
            "event_id": _named(f"{night}-", clicked),
            "request_id": requests.take(pa.array(clicked)),
            "item_id": items.take(pa.array(clicked)),
            "ts": pa.array(moment[clicked] + 60_000_000, pa.timestamp("us", "UTC")),
            "event": pa.repeat("click", len(clicked)),
            "value": np.ones(len(clicked)),
        }
    )
    return shown, clicks


def _named(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _lists(values: pa.Array) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(values, _CANDIDATES).cast(pa.list_(values.type))


def _save(table: pa.Table, folder: Path, night: date) -> None:
    place = folder / f"dt={night}"
    place.mkdir(parents=True)
    pq.write_table(table, place / "part-0.parquet")
