"""Shows beside propensities of a night's clean impressions, read by Spark and summed as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Ragged
from mrlm.log_checks.propensity_moments import propensity_moments
from mrlm.log_checks.show_counts import (
    HALF,
    KINDS,
    InverseShows,
    ShowCounts,
    count_inverse_shows,
    count_shows,
    size_bins,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# More of them find nothing that is worth their time and memory.
MOST_SLOTS = 400_000
MOST_CANDIDATES = 8_000_000
_PARTS = 1_000_000
# What is read of clean impressions.
SLOT_COLUMNS = (
    *("request_id", "item_id", "position", "scene", "policy_id", "ts"),
    *("propensity", "propensity_kind", "candidates", "candidate_propensities"),
)


def show_counts(read: pa.Table, *, sum_tolerance: float, tolerance: float) -> ShowCounts:
    """Count the shows of clean impressions that log a conditional propensity.

    Args:
        read: slots from ``slots_of``.
        sum_tolerance: largest distance of a slot's sum of propensities from 1.
        tolerance: relative distance that is not looked for where one propensity is logged alone.
    """
    offered, items = _candidates(read["candidates"])
    whole = read["logged"].to_numpy()
    groups = read.drop_columns(["candidates", "q"])
    logged, alone = groups.filter(whole), groups.filter(~whole)
    counts = count_shows(
        offered.take(np.flatnonzero(whole)),
        pc.list_flatten(read["q"].filter(whole)).to_numpy(),
        logged["place"].to_numpy().astype(np.int64),
        _groups(logged),
        items,
        sum_tolerance=sum_tolerance,
    )
    sizes = Counter(counts.sizes)
    inverse: tuple[InverseShows, ...] = ()
    if len(alone):
        unlogged = offered.take(np.flatnonzero(~whole))
        sizes.update(size_bins(unlogged))
        inverse = count_inverse_shows(
            unlogged,
            alone["propensity"].to_numpy(),
            alone["place"].to_numpy().astype(np.int64),
            _groups(alone),
            items,
            tolerance=tolerance,
        )
    return replace(counts, inverse=inverse, sizes=dict(sizes))


def slot_moments(read: pa.Table) -> dict[str, float | None]:
    """Moments of the propensities of slots from ``slots_of``; see ``propensity_moments``."""
    whole = read["logged"]
    q = read["q"].filter(whole)
    return propensity_moments(
        pc.list_value_length(read["candidates"]).to_numpy(),
        read["propensity"].to_numpy(),
        Ragged(_offsets(q), pc.list_flatten(q).to_numpy()),
        read["propensity"].filter(whole).to_numpy(),
    )


def stored_candidates(folder: Path) -> int:
    """How many candidates the impressions of a folder have together, as its files say."""
    return sum(
        column.num_values
        for file in folder.glob("*.parquet")
        for column in _columns(pq.read_metadata(file))
        if column.path_in_schema.split(".")[0] == "candidates"
    )


def _columns(file: pq.FileMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    for i in range(file.num_row_groups):
        group = file.row_group(i)
        yield from (group.column(j) for j in range(group.num_columns))


def taken(slots: int, candidates: int) -> Column:
    """Whether a slot is counted: of large nights some requests, whole, and always the same ones.

    Args:
        slots: of the night.
        candidates: of all slots together.
    """
    from pyspark.sql import functions as F

    share = min(1.0, MOST_SLOTS / max(slots, 1), MOST_CANDIDATES / max(candidates, 1))
    if share == 1:
        return F.lit(True)
    return F.pmod(F.xxhash64("request_id"), F.lit(_PARTS)) < int(share * _PARTS)


def slots_of(impressions: DataFrame, counted: Column) -> DataFrame:
    """One row a slot whose shown item has a propensity: its groups, candidates and their q.

    Args:
        impressions: clean, with ``SLOT_COLUMNS``.
        counted: from ``taken``.
    """
    from pyspark.sql import functions as F

    c = F.col
    q = c("candidate_propensities")
    place = F.array_position("candidates", c("item_id")).cast("int")
    # Asked first: of a slot that is not taken nothing else is looked at.
    rows = impressions.filter(counted)
    complete = (F.size(q) == F.size("candidates")) & F.forall(q, lambda x: x >= 0)
    rows = rows.filter(
        (c("propensity_kind") == "conditional")
        & (c("propensity") > 0)
        & (c("propensity") <= 1)
        & (place > 0)
    )
    groups: dict[str, Column] = {
        "position": c("position").cast("string"),
        "scene": c("scene"),
        "policy": c("policy_id"),
        "hour": F.date_format("ts", "HH"),
        HALF: F.pmod(F.xxhash64("request_id"), F.lit(2)).cast("string"),
    }
    return rows.select(
        *(F.coalesce(label, F.lit("")).alias(kind) for kind, label in groups.items()),
        "candidates",
        "propensity",
        q.alias("q"),
        (place - 1).alias("place"),
        F.coalesce(complete & (F.get(q, place - 1) > 0), F.lit(False)).alias("logged"),
    )


def _candidates(lists: pa.ChunkedArray) -> tuple[Ragged, NDArray[np.object_]]:
    """The slots' candidates by their place among the items, and the items, in order."""
    coded = pc.list_flatten(lists).combine_chunks().dictionary_encode()
    order = pc.sort_indices(coded.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    items = _texts(coded.dictionary.take(order))
    return Ragged(_offsets(lists), rank[coded.indices.to_numpy()]), items


def _offsets(lists: pa.ChunkedArray) -> NDArray[np.int64]:
    lengths = pc.list_value_length(lists).to_numpy()
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _groups(slots: pa.Table) -> dict[str, NDArray[np.object_]]:
    return {kind: _texts(slots[kind]) for kind in (*KINDS, HALF)}


def _texts(values: pa.Array | pa.ChunkedArray) -> NDArray[np.object_]:
    found: NDArray[np.object_] = values.to_numpy(zero_copy_only=False)
    return found
