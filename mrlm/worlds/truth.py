"""True rewards of every candidate of every logged decision, shown or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.worlds.objectives import rewards_of
from mrlm.worlds.ratings import EVENTS

TRUTH_SCHEMA = pa.schema(
    [
        pa.field("decision_id", pa.string()),
        pa.field("candidates", pa.list_(pa.string())),
        *[pa.field(event, pa.list_(pa.float64())) for event in EVENTS],
    ]
)


@dataclass(frozen=True)
class Truth:
    """n decisions with N candidates in all.

    Attributes:
        decision_id: strings, length n.
        offsets: int64, shape (n + 1,).
        item_id: strings, length N.
        events: name of an event to the value it has where the candidate is shown, float64,
            shape (N,).
    """

    decision_id: pa.Array
    offsets: NDArray[np.int64]
    item_id: pa.Array
    events: dict[str, NDArray[np.float64]]

    def rewards(self, log: BanditLog) -> NDArray[np.float64]:
        """True reward of every candidate of ``log`` for its objectives, float64, shape (N, m).

        Rows follow the log's candidates, whatever their order in the truth.

        Raises:
            ValueError: a decision or a candidate of the log is not in the truth, or the truth has
                no event of an objective.
        """
        found = pc.index_in(pa.array(log.decision_id, pa.string()), value_set=self.decision_id)
        decision = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        if (decision < 0).any():
            unknown = log.decision_id[int(np.flatnonzero(decision < 0)[0])]
            raise ValueError(f"decision {unknown!r} is not in the truth: is it of another world?")
        catalog = log.decisions.catalog
        code = catalog.codes(self.item_id).astype(np.int64)
        width = len(catalog) + 1
        owner = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        key = owner * width + np.where(code < 0, len(catalog), code)
        order = np.argsort(key, kind="stable")
        candidates = log.decisions.candidates
        wanted = decision[candidates.row] * width + candidates.values.astype(np.int64)
        place = np.minimum(np.searchsorted(key[order], wanted), max(len(key) - 1, 0))
        row = order[place] if len(key) else place
        if len(wanted) and (len(key) == 0 or (key[row] != wanted).any()):
            i = int(np.flatnonzero(key[row] != wanted)[0]) if len(key) else 0
            raise ValueError(
                f"decision {log.decision_id[candidates.row[i]]!r}: candidate "
                f"{catalog.item_id[int(candidates.values[i])]!r} is not in the truth"
            )
        events = {name: value[row] for name, value in self.events.items()}
        return rewards_of(log.objectives, log.decisions, events)


def write_truth(
    path: Path,
    decision_id: Sequence[str],
    offsets: NDArray[np.int64],
    item_id: pa.Array,
    events: dict[str, NDArray[np.float64]],
) -> None:
    """Write one night's truth as Parquet of ``TRUTH_SCHEMA``."""
    edges = pa.array(offsets, pa.int32())
    columns = [pa.array(decision_id, pa.string()), pa.ListArray.from_arrays(edges, item_id)]
    columns += [pa.ListArray.from_arrays(edges, pa.array(events[e], pa.float64())) for e in EVENTS]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(columns, schema=TRUTH_SCHEMA), path, compression="zstd")


def read_truth(paths: Sequence[Path]) -> Truth:
    """Read the truth of one or more nights.

    Raises:
        ValueError: no path is given, or a decision appears twice.
        FileNotFoundError: a file is missing.
    """
    if not paths:
        raise ValueError("no truth to read: name at least one night's file")
    table = pa.concat_tables([pq.read_table(p, schema=TRUTH_SCHEMA) for p in paths])
    table = table.combine_chunks()
    decision_id = _one(table["decision_id"])
    if pc.count_distinct(decision_id).as_py() != len(decision_id):
        raise ValueError(f"a decision appears twice in the truth of {[str(p) for p in paths]}")
    lists = _one(table["candidates"])
    offsets = np.zeros(len(table) + 1, np.int64)
    np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False), out=offsets[1:])
    events = {
        e: pc.list_flatten(_one(table[e])).to_numpy(zero_copy_only=False).astype(np.float64)
        for e in EVENTS
    }
    return Truth(decision_id, offsets, pc.list_flatten(lists), events)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
