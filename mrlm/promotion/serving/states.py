"""States and candidate sets as a table: what a request brings, and what reproduction rows keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Ragged
from mrlm.bandit_log.histories import UNNAMED, Histories

STATES_SCHEMA = pa.schema(
    [
        pa.field("user", pa.string()),
        pa.field("scene", pa.string()),
        pa.field("position", pa.int32()),
        pa.field("ts", pa.timestamp("us", tz="UTC")),
        pa.field("candidates", pa.list_(pa.string())),
        pa.field("history_items", pa.list_(pa.string())),
        pa.field("history_values", pa.list_(pa.float32())),
        pa.field("history_rewards", pa.map_(pa.string(), pa.list_(pa.float32()))),
        pa.field("above", pa.list_(pa.string())),
    ]
)
_REQUIRED = ("user", "candidates")


def states_table(decisions: Decisions) -> pa.Table:
    """The decisions as a table of ``STATES_SCHEMA``, one row a decision, same order."""
    ids = decisions.catalog.item_id
    seen = decisions.looked_back_on()
    history = Ragged(seen.offsets, decisions.histories.item[seen.values])
    values, rewards = _stated(decisions.histories, seen)
    columns = [
        pa.array(decisions.user, pa.string()),
        pa.array(decisions.scene, pa.string()),
        pa.array(decisions.position, pa.int32()),
        pa.array(decisions.ts.astype("datetime64[us]"), pa.timestamp("us")).cast(
            STATES_SCHEMA.field("ts").type
        ),
        lists(decisions.candidates, ids),
        lists(history, ids),
        values,
        rewards,
        lists(decisions.above, ids),
    ]
    return pa.Table.from_arrays(columns, schema=STATES_SCHEMA)


def read_states(
    table: pa.Table,
    catalog: Catalog,
    *,
    ts: str = "1970-01-01",
    unknown_candidates: Literal["error", "drop"] = "error",
    objectives: Sequence[str] = (),
    most_history: int | None = None,
) -> Decisions:
    """Decisions of a table with at least ``user`` and ``candidates``, same order.

    An absent or null scene is "default", position 1, history and items above empty. History
    items that the catalogue no longer has are left out with their rewards. ``history_rewards`` maps
    an objective to its known reward of each item; ``history_values`` is the same for the one
    objective that a model asks for first, without its name.

    Args:
        table: columns of ``STATES_SCHEMA``; others are ignored.
        catalog: the items.
        ts: ISO time for rows that bring none.
        unknown_candidates: whether a candidate that the catalogue lacks is an error or left out.
        objectives: that histories have, also where no row names one: what is known of no entry is
            no objective that histories lack.
        most_history: the newest entries of each history that are read; None: all. An item that
            the catalogue lacks counts as one, as it does in a log: no older entry takes its place.

    Raises:
        ValueError: a required column is absent or null, an item shown above or, unless dropped, a
            candidate is not in the catalogue, a row has another number of rewards than of history
            items, or some rows name the objectives of their rewards and others do not.
    """
    for name in _REQUIRED:
        if name not in table.column_names:
            raise ValueError(f"states need the column {name!r}; got {table.column_names}")
    columns = {f.name: _column(table, f) for f in STATES_SCHEMA}
    for name in _REQUIRED:
        if columns[name].null_count:
            row = int(np.flatnonzero(columns[name].is_null().to_numpy(zero_copy_only=False))[0])
            raise ValueError(f"states: {name} is null in row {row}")
    items = columns["history_items"]
    newest = None if most_history is None else _newest(items, most_history)
    history, kept = _codes(items, catalog, "history_items", drop=True, among=newest)
    names, rewards = _rewards(columns, objectives)
    return Decisions(
        catalog=catalog,
        user=columns["user"].to_numpy(zero_copy_only=False).astype(object),
        scene=pc.fill_null(columns["scene"], "default")
        .to_numpy(zero_copy_only=False)
        .astype(object),
        position=pc.fill_null(columns["position"], 1)
        .to_numpy(zero_copy_only=False)
        .astype(np.int32),
        ts=_times(columns["ts"], ts),
        candidates=_codes(
            columns["candidates"], catalog, "candidates", drop=unknown_candidates == "drop"
        )[0],
        histories=Histories.of_lists(history, rewards[kept], names),
        since=history.offsets[:-1],
        until=history.offsets[1:],
        request=np.zeros(len(table), np.int64),
        above=_codes(columns["above"], catalog, "above", drop=False)[0],
    )


def unknown_candidates(table: pa.Table, catalog: Catalog) -> pa.ListArray:
    """Those of each row's ``candidates`` that the catalogue lacks, in their order."""
    column = _column(table, STATES_SCHEMA.field("candidates"))
    ids = pc.list_flatten(column)
    unknown = catalog.codes(ids) < 0
    count = np.concatenate([[0], np.cumsum(unknown)])
    offsets = pa.array(count[_offsets(column)], pa.int32())
    return pa.ListArray.from_arrays(offsets, ids.filter(pa.array(unknown)))


def last_states(log: BanditLog) -> Decisions:
    """Each user's last decision as a request for a new list, by user.

    The last is that of the latest time, and of the highest position among those of one time. The
    request is for the top of the list with nothing above, and its candidates are those of the
    decision without the item that was shown.

    Args:
        log: n decisions.

    Returns:
        One decision a distinct user.
    """
    order = np.lexsort((log.decisions.position, log.decisions.ts, log.decisions.user))
    user = log.decisions.user[order]
    last = order[np.append(user[1:] != user[:-1], True)]
    chosen = log.take(last)
    decisions = chosen.decisions
    kept = np.ones(len(decisions.candidates.values), np.bool_)
    kept[chosen.shown] = False
    step = np.arange(len(chosen) + 1)
    return replace(
        decisions,
        position=np.ones(len(chosen), np.int32),
        candidates=Ragged(decisions.offsets - step, decisions.candidates.values[kept]),
        above=Ragged(np.zeros(len(chosen) + 1, np.int64), np.zeros(0, np.int32)),
    )


def lists(ragged: Ragged, names: NDArray[np.object_] | None = None) -> pa.ListArray:
    """A list column; ``names``, where given, are looked up by the values, as item identifiers."""
    if names is None:
        values = pa.array(ragged.values)
    else:
        values = pa.array(names[ragged.values.astype(np.int64)], pa.string())
    return pa.ListArray.from_arrays(pa.array(ragged.offsets, pa.int32()), values)


def _column(table: pa.Table, field: pa.Field) -> pa.Array:
    if field.name not in table.column_names:
        return pa.nulls(len(table), field.type)
    column = table[field.name]
    if field.name == "ts" and not pa.types.is_null(column.type):
        column = pc.cast(column, pa.timestamp("us", tz=getattr(column.type, "tz", None)))
        if column.type.tz is None:
            column = pc.assume_timezone(column, "UTC")
    try:
        # A table may arrive in chunks, and combine_chunks of none gives an empty array.
        return pa.chunked_array(column.cast(field.type)).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"states: column {field.name!r} must be {field.type}: {error}") from error


def _offsets(column: pa.ListArray) -> NDArray[np.int64]:
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _newest(column: pa.ListArray, most: int) -> NDArray[np.bool_]:
    """Which of the values are among the last ``most`` of their list."""
    offsets = _offsets(column)
    ends = np.repeat(offsets[1:], np.diff(offsets))
    return np.asarray(ends - np.arange(len(ends)) <= most)


def _codes(
    column: pa.ListArray,
    catalog: Catalog,
    name: str,
    *,
    drop: bool,
    among: NDArray[np.bool_] | None = None,
) -> tuple[Ragged, NDArray[np.bool_]]:
    """Item codes, and which of the values are ``among`` those read and in the catalogue."""
    ids, offsets = pc.list_flatten(column), _offsets(column)
    codes = catalog.codes(ids)
    kept = codes >= 0
    if not kept.all() and not drop:
        unknown = ids[int(np.flatnonzero(~kept)[0])].as_py()
        raise ValueError(f"states: column {name}: item {unknown!r} is not in the catalogue")
    if among is not None:
        kept &= among
    count = np.concatenate([[0], np.cumsum(kept)])
    return Ragged(count[offsets], codes[kept]), kept


def _stated(histories: Histories, seen: Ragged) -> tuple[pa.Array, pa.Array]:
    """The columns ``history_values`` and ``history_rewards``, of which one is null everywhere."""
    values, rewards = (STATES_SCHEMA.field(f"history_{n}").type for n in ("values", "rewards"))
    if histories.objectives == (UNNAMED,):
        own = histories.rewards[seen.values, 0]
        return lists(Ragged(seen.offsets, own)), pa.nulls(len(seen), rewards)
    names = histories.objectives
    many, m = len(seen), len(names)
    # A map is a list of keys and items: a row's objectives one after the other, each with its list.
    entry, row = seen.values, seen.row
    order = np.argsort(np.tile(np.arange(m), len(entry)) + row.repeat(m) * m, kind="stable")
    flat = histories.rewards[entry].ravel()[order]
    offsets = np.zeros(many * m + 1, np.int64)
    np.cumsum(np.repeat(seen.lengths, m), out=offsets[1:])
    items = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(flat))
    keys = pa.array(list(names) * many, pa.string())
    step = pa.array(np.arange(many + 1) * m, pa.int32())
    return pa.nulls(many, values), pa.MapArray.from_arrays(step, keys, items)


def _rewards(
    columns: dict[str, pa.Array], objectives: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Objectives, and known rewards of every history item, float32, shape (E, objectives)."""
    items, named = columns["history_items"], columns["history_rewards"]
    alone = pc.fill_null(pc.list_value_length(columns["history_values"]), 0)
    both = np.flatnonzero(alone.to_numpy(zero_copy_only=False) > 0)
    if not np.diff(np.asarray(named.offsets)).any() and (len(both) or not objectives):
        unnamed = _values(columns["history_values"], items, "history_values")
        return (UNNAMED,), unnamed[:, None]
    if len(both):
        raise ValueError(
            f"states: row {int(both[0])} has history_values, and other rows have history_rewards: "
            "name the objectives in all rows or in none"
        )
    rows = named.to_pylist()
    told = (name for row in rows for name, _ in row or ())
    # What reads one objective alone reads the first that a row names.
    names = tuple(dict.fromkeys([*told, *objectives]))
    lists_of = [
        pa.array(
            [dict(row or ()).get(n) for row in rows], STATES_SCHEMA.field("history_values").type
        )
        for n in names
    ]
    own = [
        _values(c, items, f"history_rewards[{n!r}]") for n, c in zip(names, lists_of, strict=True)
    ]
    return names, np.stack(own, axis=1)


def _values(column: pa.ListArray, items: pa.ListArray, name: str) -> NDArray[np.float32]:
    """Rewards, one an item of the history; NaN in every row that brings none."""
    own, expected = np.diff(_offsets(column)), np.diff(_offsets(items))
    wrong = np.flatnonzero((own != expected) & (own != 0))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"states: row {row} has {own[row]} {name} for {expected[row]} history_items"
        )
    out = np.full(int(expected.sum()), np.nan, np.float32)
    given = np.repeat(own > 0, expected)
    out[given] = pc.list_flatten(column).to_numpy(zero_copy_only=False).astype(np.float32)
    return out


def _times(column: pa.Array, default: str) -> NDArray[np.datetime64]:
    naive = pc.cast(column, pa.timestamp("us")).to_numpy(zero_copy_only=False)
    times = naive.astype("datetime64[us]")
    return np.where(np.isnat(times), np.datetime64(default, "us"), times)
