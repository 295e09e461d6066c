"""Batches cut where a request or session ends, so that none lies in two of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.bandit_log.user_folds import user_key
from mrlm.ope.checks import RowError
from mrlm.ope.table.columns.cells import check_names, check_present, names_of
from mrlm.ope.table.rounds.numbered import Numbered, joined

# A table of up to so many rows is put together in memory where its rounds are scattered.
GATHERED_ROWS, GATHERED_BYTES = 1 << 21, 1 << 28
_ROWS_AT_ONCE = 1 << 18


def whole_rounds(
    parts: Iterator[Numbered], round_id: str, rows_at_once: int = _ROWS_AT_ONCE
) -> Iterator[Numbered]:
    """The same rows, those of a round one after the other and in one batch.

    Where the rows of each round already follow each other, in any order of rounds, the file is
    streamed; each round costs eight bytes, so that one which comes again is found. Where they do
    not, a table of up to ``GATHERED_ROWS`` rows is put together in memory.

    Args:
        parts: numbered batches.
        round_id: column of the round.
        rows_at_once: of a batch that was put together.

    Raises:
        ValueError: a round's rows are apart in a longer table, or a name is missing; the row is
            named.
    """
    parts = (_plain(part, round_id) for part in parts)
    held: list[Numbered] = []
    total = size = 0
    for part in parts:
        held.append(part)
        total += part[1].num_rows
        size += part[1].nbytes
        if total > GATHERED_ROWS or size > GATHERED_BYTES:
            break
    small = total <= GATHERED_ROWS and size <= GATHERED_BYTES
    if small and not _together(held, round_id):
        held = _gathered(held, round_id, min(rows_at_once, _ROWS_AT_ONCE))
    yield from _cut(chain(held, parts), round_id)


def run_starts(ids: pa.Array) -> NDArray[np.int64]:
    """Where the value differs from the one before, from 0, int64."""
    n = len(ids)
    changes = pc.not_equal(ids.slice(1), ids.slice(0, n - 1)).to_numpy(zero_copy_only=False)
    found: NDArray[np.int64] = np.concatenate([[0], np.flatnonzero(changes) + 1])
    return found


def _plain(part: Numbered, column: str) -> Numbered:
    """The part with the column's own values where it holds codes of them; none may be missing."""
    rows, batch = part
    values = batch.column(column)
    check_present(values, column, rows)
    check_names(values.type, column)
    if not pa.types.is_dictionary(values.type):
        return part
    place = batch.schema.get_field_index(column)
    return rows, batch.set_column(place, column, values.dictionary_decode())


def _together(held: list[Numbered], round_id: str) -> bool:
    if not held:
        return True
    ids = pa.chunked_array([batch.column(round_id) for _, batch in held]).combine_chunks()
    first = ids.take(pa.array(run_starts(ids)))
    return int(pc.count_distinct(first).as_py()) == len(first)


def _gathered(held: list[Numbered], round_id: str, rows_at_once: int) -> list[Numbered]:
    table = pa.Table.from_batches([batch for _, batch in held]).combine_chunks()
    codes = pc.rank(table.column(round_id), tiebreaker="dense").to_numpy()
    order = np.argsort(codes, kind="stable")
    rows = np.concatenate([rows for rows, _ in held])[order]
    batches = table.take(pa.array(order)).combine_chunks().to_batches(rows_at_once)
    ends = np.cumsum([batch.num_rows for batch in batches])
    return list(zip(np.split(rows, ends[:-1]), batches, strict=True))


def _cut(parts: Iterator[Numbered], round_id: str) -> Iterator[Numbered]:
    closed = ClosedIds()
    open_: Numbered | None = None
    for part in parts:
        rows, batch = part if open_ is None else joined([open_, part])
        ids = batch.column(round_id)
        starts = run_starts(ids)
        names = names_of(ids.take(pa.array(starts)), round_id, rows[starts])
        keys = user_key(names)
        # Names are told apart by 64 bits: of 1e8 texts, two agree by chance once in 4,000 logs.
        again = closed.seen(keys)
        if again.any():
            i = int(np.flatnonzero(again)[0])
            name = names.tolist()[i]
            raise RowError(
                int(rows[starts[i]]),
                f"{round_id} {name!r} comes again after other rows, and "
                f"the table has more than {GATHERED_ROWS} rows, or {GATHERED_BYTES >> 20} MiB: "
                f"sort the file by {round_id}, or write each one's rows together",
            )
        closed.add(keys[:-1])
        last = int(starts[-1])
        if last:
            yield rows[:last], batch.slice(0, last)
        open_ = rows[last:], batch.slice(last)
    if open_ is not None:
        yield open_


class ClosedIds:
    """A growing set of 64-bit keys, as sorted arrays of which each is at least twice the next.

    A key is compared with each of the few arrays, and merged as often as there are sizes, so a log
    of n requests costs n log n in all.
    """

    def __init__(self) -> None:
        self._levels: list[NDArray[np.uint64]] = []

    def seen(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which keys are in the set, or earlier among ``keys``, bool, shape (n,)."""
        found = np.ones(len(keys), np.bool_)
        found[np.unique(keys, return_index=True)[1]] = False
        for level in self._levels:
            at = np.minimum(np.searchsorted(level, keys), len(level) - 1)
            found |= level[at] == keys
        return found

    def add(self, keys: NDArray[np.uint64]) -> None:
        """Put keys that are not in the set into it."""
        if len(keys) == 0:
            return
        levels = self._levels
        levels.append(np.sort(keys))
        while len(levels) > 1 and len(levels[-2]) < 2 * len(levels[-1]):
            last = levels.pop()
            levels[-1] = np.sort(np.concatenate([levels[-1], last]), kind="stable")
