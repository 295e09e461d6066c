"""A night of raw logs at any size: arrays in pieces, so that memory stays flat.

Every impression has 20 candidates with their propensities, three in ten get an event, and a known
part is wrong in each way that rows are checked for. The same seed and number give the same rows.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Format = Literal["parquet", "json"]
NIGHT = "2026-11-20"
CANDIDATES = 20
PIECE = 100_000
# A prime, so that equal strides never come to an item twice within a list.
ITEMS = 20_011
_SLOTS = 5
_REQUESTS_PER_USER = 10
_EVENT_SHARE = 0.3
# One row in so many is wrong in each single way.
_RARITY = 1_000
_FAULTS = (
    "null_user",
    "missing_propensity",
    "propensity_out_of_range",
    "shown_not_in_candidates",
    "unknown_item",
    "future_ts",
    "no_candidates",
    "candidate_twice",
    "missing_field",
)
_MIDNIGHT = int((datetime.fromisoformat(NIGHT) - datetime(1970, 1, 1)).total_seconds()) * 1_000_000
_DAY = 86_400_000_000


def write(folder: Path, impressions: int, form: Format, seed: int = 1) -> dict[str, str]:
    """Write a night; table to the folder of its files.

    Args:
        folder: to write into.
        impressions: number of rows before some are doubled, about one in a hundred.
        form: Parquet, or gzipped JSON lines; both in files of ``PIECE`` rows.
        seed: of everything drawn.
    """
    places = {table: folder / table for table in ("items", "impressions", "feedback")}
    for place in places.values():
        place.mkdir(parents=True)
    _save(_items(), places["items"] / "part-0", form)
    for i, (shown, events) in enumerate(_pieces(impressions, seed)):
        _save(shown, places["impressions"] / f"part-{i:04}", form)
        _save(events, places["feedback"] / f"part-{i:04}", form)
    return {table: str(place) for table, place in places.items()}


def _items() -> pa.Table:
    names = _numbered("item-", np.arange(ITEMS))
    return pa.table(
        {
            "item_id": names,
            "text": pc.binary_join_element_wise("What is known of ", names, ""),
            "category": pc.take(pa.array(["news|sport", "film", "music"]), np.arange(ITEMS) % 3),
        }
    )


def _pieces(impressions: int, seed: int) -> Iterator[tuple[pa.Table, pa.Table]]:
    catalogue = _numbered("item-", np.arange(ITEMS))
    for start in range(0, impressions, PIECE):
        rows = np.arange(start, min(start + PIECE, impressions))
        rng = np.random.default_rng((seed, start))
        shown = _impressions(rows, catalogue, rng)
        events = _events(rows, shown, rng)
        again = np.flatnonzero(rows % 100 == 7)
        yield pa.concat_tables([shown, shown.take(again)]), events


def _impressions(rows: np.ndarray, catalogue: pa.Array, rng: np.random.Generator) -> pa.Table:
    n = len(rows)
    first, stride = rng.integers(ITEMS, size=n), rng.integers(1, ITEMS, size=n)
    codes = (first[:, None] + stride[:, None] * np.arange(CANDIDATES)) % ITEMS
    chosen = rng.integers(CANDIDATES, size=n)
    weights = rng.random((n, CANDIDATES)) + 0.05
    chances = np.round(weights / weights.sum(axis=1, keepdims=True), 6)
    propensity = chances[np.arange(n), chosen]
    request = rows // _SLOTS
    # A day's times, most of them of the night, some of the night before, few too old.
    moment = _MIDNIGHT + (request * 7919) % 86_400 * 1_000_000 + rows % _SLOTS * 1_000
    moment = (
        moment - np.where(request % 25 == 3, _DAY, 0) - np.where(request % 400 == 9, 5 * _DAY, 0)
    )
    fault = {name: rows % _RARITY == 11 * (i + 1) for i, name in enumerate(_FAULTS)}
    moment = moment + np.where(fault["future_ts"], 2 * _DAY, 0)
    propensity = np.where(fault["propensity_out_of_range"], 1.5, propensity)
    codes[fault["candidate_twice"], 1] = codes[fault["candidate_twice"], 0]
    lists = catalogue.take(pa.array(codes.ravel()))
    unknown = np.zeros((n, CANDIDATES), bool)
    unknown[fault["unknown_item"], 5] = True
    lists = pc.if_else(pa.array(unknown.ravel()), "item-nobody-knows", lists)
    item = lists.take(pa.array(np.arange(n) * CANDIDATES + chosen))
    item = pc.if_else(pa.array(fault["shown_not_in_candidates"]), "item-elsewhere", item)
    bot = request % 100 == 13
    user = np.where(bot, -1, request // _REQUESTS_PER_USER)
    return pa.table(
        {
            "request_id": _or_null(_numbered("request-", request), fault["missing_field"]),
            "ts": pa.array(moment, pa.timestamp("us", "UTC")),
            "user_id": _or_null(_numbered("user-", user), fault["null_user"]),
            "scene": pc.take(pa.array(["home", "detail"]), pa.array(request % 2)),
            "position": pa.array(rows % _SLOTS + 1, pa.int32()),
            "item_id": item,
            "propensity": _or_null(pa.array(propensity), fault["missing_propensity"]),
            "candidates": _listed(lists, fault["no_candidates"]),
            "candidate_propensities": _listed(pa.array(chances.ravel()), fault["no_candidates"]),
            "propensity_kind": pa.repeat("conditional", n),
            "policy_id": pc.take(pa.array(["logger-1", "logger-2"]), pa.array(request % 2)),
        }
    )


def _events(rows: np.ndarray, shown: pa.Table, rng: np.random.Generator) -> pa.Table:
    at = np.flatnonzero(rng.random(len(rows)) < _EVENT_SHARE)
    number = rows[at]
    moment = shown["ts"].cast(pa.int64()).to_numpy()[at] + 60_000_000
    request = pc.if_else(
        pa.array(number % 500 == 3), "request-nobody-made", shown["request_id"].take(at)
    )
    events = pa.table(
        {
            "event_id": _numbered("event-", number),
            "request_id": request,
            "item_id": shown["item_id"].take(at),
            "ts": pa.array(np.minimum(moment, _MIDNIGHT + _DAY - 1), pa.timestamp("us", "UTC")),
            "event": pc.take(pa.array(["click", "buy", "scroll"]), pa.array(number % 3)),
            "value": _or_null(pa.array(number % 5 + 1.0), number % _RARITY == 17),
        }
    )
    return pa.concat_tables([events, events.take(np.flatnonzero(number % 200 == 8))])


def _numbered(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _or_null(values: pa.Array, gone: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(gone), pa.scalar(None, values.type), values)


def _listed(values: pa.Array, gone: np.ndarray) -> pa.Array:
    lists = pa.FixedSizeListArray.from_arrays(values, CANDIDATES).cast(pa.list_(values.type))
    return _or_null(lists, gone)


def _save(table: pa.Table, place: Path, form: Format) -> None:
    if form == "parquet":
        pq.write_table(table, place.with_suffix(".parquet"), row_group_size=PIECE)
        return
    with gzip.open(place.with_suffix(".json.gz"), "wb", compresslevel=1) as stream:
        lines = _lines(table)
        stream.write("\n".join(lines.to_pylist()).encode() + b"\n")


def _lines(table: pa.Table) -> pa.Array:
    """A JSON object a row; a null field is left out."""
    parts = []
    for name in table.column_names:
        value = _json(table[name].combine_chunks())
        parts.append(pc.binary_join_element_wise(f'"{name}": ', value, ""))
    joined = pc.binary_join_element_wise(*parts, ", ", null_handling="skip")
    return pc.binary_join_element_wise("{", joined, "}", "")


def _json(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_list(kind):
        texts = _json(values.values)
        lists = pa.ListArray.from_arrays(values.offsets, texts, mask=values.is_null())
        return pc.binary_join_element_wise("[", pc.binary_join(lists, ", "), "]", "")
    if pa.types.is_timestamp(kind):
        values = pc.strftime(values, "%Y-%m-%dT%H:%M:%SZ")
        kind = values.type
    if pa.types.is_string(kind):
        # No name here has a character that JSON would write otherwise.
        return pc.binary_join_element_wise('"', values, '"', "")
    return values.cast(pa.string())
