"""Read what the decisions of a night look back on, and find each decision's part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.bandit_log.catalog import Catalog
from mrlm.bandit_log.histories import ALWAYS, NO_REQUEST, OPEN, UNNAMED, Histories
from mrlm.bandit_log.stored.schema import HISTORIES
from mrlm.bandit_log.stored.user_sample import UserSample

# Columns that tell a decision's part of the histories, while a log is put together.
PLACES = ("_since", "_until", "_request")
_REWARD = "reward_"


def with_histories(
    tables: Sequence[pa.Table],
    paths: Sequence[Path],
    samples: Sequence[UserSample],
    catalog: Catalog,
) -> tuple[pa.Table, Histories]:
    """Decisions of all nights, with ``PLACES``, and the histories that these point to.

    Args:
        tables: of the decisions, one a path.
        paths: of the nights; one without a folder of histories has none.
        samples: the users that each table holds.
        catalog: the items.

    Raises:
        ValueError: an item is not in the catalogue.
    """
    placed, parts, size = [], list[Histories](), 0
    for table, path, sample in zip(tables, paths, samples, strict=True):
        folder = path / HISTORIES
        entries = sample.read(folder) if folder.is_dir() else None
        columns, part = _placed(table, entries, catalog)
        since, until, request = columns
        for name, values in zip(PLACES, (since + size, until + size, request), strict=True):
            table = table.append_column(name, pa.array(values))
        placed.append(table)
        parts.append(part)
        size += len(part)
    return pa.concat_tables(placed), _joined(parts)


def _placed(
    table: pa.Table, entries: pa.Table | None, catalog: Catalog
) -> tuple[tuple[NDArray[np.int64], ...], Histories]:
    """``PLACES`` of a night's decisions, and its histories."""
    if entries is None or len(entries) == 0:
        none = np.zeros(len(table), np.int64)
        names = () if entries is None else _objectives(entries)
        return (none, none, none), Histories.none(names or (UNNAMED,))
    user = pc.dictionary_encode(entries["user"].combine_chunks())
    code = user.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    if (np.diff(code) < 0).any():
        order = np.argsort(code, kind="stable")
        entries, code = entries.take(order).combine_chunks(), code[order]
    start = np.searchsorted(code, np.arange(len(user.dictionary) + 1))
    own = pc.index_in(table["user"].combine_chunks(), value_set=user.dictionary)
    place = pc.fill_null(own, len(user.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
    # A user without a history has the empty part behind all others.
    ends = np.append(start, start[-1])
    requests = pa.concat_arrays(
        [entries["request_id"].combine_chunks(), table["request_id"].combine_chunks()]
    )
    numbers = pc.fill_null(pc.dictionary_encode(requests).indices, NO_REQUEST)
    number = numbers.to_numpy(zero_copy_only=False).astype(np.int64)
    columns = (ends[place], ends[place + 1], number[len(entries) :])
    return columns, _histories(entries, number[: len(entries)], catalog)


def _histories(entries: pa.Table, request: NDArray[np.int64], catalog: Catalog) -> Histories:
    ids = entries["item_id"].combine_chunks()
    item = catalog.codes(ids)
    if (item < 0).any():
        unknown = ids[int(np.flatnonzero(item < 0)[0])].as_py()
        raise ValueError(f"{HISTORIES}, column item_id: item {unknown!r} is not in the catalogue")
    names = _objectives(entries)
    rewards = [
        entries[f"{_REWARD}{n}"].to_numpy(zero_copy_only=False).astype(np.float32) for n in names
    ]
    return Histories(
        item=item,
        shown=_times(entries, "shown", np.datetime64("NaT", "us")),
        known_from=_times(entries, "known_from", ALWAYS),
        known_until=_times(entries, "known_until", OPEN),
        request=request,
        objectives=names,
        rewards=np.stack(rewards, axis=1) if rewards else np.zeros((len(item), 0), np.float32),
    )


def _objectives(entries: pa.Table) -> tuple[str, ...]:
    return tuple(n.removeprefix(_REWARD) for n in entries.column_names if n.startswith(_REWARD))


def _times(table: pa.Table, name: str, absent: np.datetime64) -> NDArray[np.datetime64]:
    column = pc.cast(table[name].combine_chunks(), pa.timestamp("us"))
    times = column.to_numpy(zero_copy_only=False).astype("datetime64[us]")
    return np.where(np.isnat(times), absent, times)


def _joined(parts: Sequence[Histories]) -> Histories:
    """All parts with the objectives of the last; what an older night did not know is unknown."""
    named = [p for p in parts if p.objectives != (UNNAMED,)]
    names = named[-1].objectives if named else (UNNAMED,)
    return Histories.concat([_with_objectives(p, names) for p in parts])


def _with_objectives(part: Histories, names: tuple[str, ...]) -> Histories:
    if part.objectives == names:
        return part
    known = dict(zip(part.objectives, part.rewards.T, strict=True))
    absent = np.full(len(part), np.nan, np.float32)
    rewards = np.stack([known.get(n, absent) for n in names], axis=1)
    return replace(part, objectives=names, rewards=rewards)
