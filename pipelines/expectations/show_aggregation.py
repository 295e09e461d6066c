"""Shows beside propensities of a night's clean impressions, summed by Spark.

The sums are those of ``mrlm.log_checks.show_counts``, by one aggregation of the slots and one of
their candidates; slots that log the shown item's propensity alone, where there are any, take one
more of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrlm.log_checks.show_counts import (
    BINS,
    FEWEST_EXPECTED,
    HALF,
    KINDS,
    NIGHT,
    SIZES,
    STAKES,
    Bins,
    InverseShows,
    ItemCells,
    ShowCounts,
    SlotSums,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

# More slots find nothing that is worth their time; they are a sample by the hash of the request.
MOST_SLOTS = 400_000
_BIN, _ITEM, _SIZE = "bin", "item", "size"
_CANDIDATE = ("slots", "expected", "variance", "uniform", "shown")
_SLOT = (
    "slots",
    "surprise",
    "surprise_variance",
    "largest",
    "entropy",
    "log_candidates",
    "total",
    "improper",
)
_INVERSE = ("slots", "shown", "inverse", "variance")


def show_counts(
    impressions: DataFrame, rows: int, *, sum_tolerance: float, tolerance: float
) -> ShowCounts:
    """Count the shows of clean impressions that log a conditional propensity.

    Args:
        impressions: as the ingest stage writes them.
        rows: how many they are; of more than ``MOST_SLOTS`` a sample of requests is counted.
        sum_tolerance: largest distance of a slot's sum of propensities from 1.
        tolerance: relative distance that is not looked for where one propensity is logged alone.
    """
    from pyspark.sql import functions as F

    slots = _slots(impressions, min(1.0, MOST_SLOTS / max(rows, 1)))
    by_slot = _by_slot(slots, sum_tolerance).toArrow()
    names = _labels(by_slot, "kind")
    groups = {k: _labels(by_slot, "group")[names == k] for k in (NIGHT, HALF, *KINDS)}
    kinds = tuple(k for k, labels in groups.items() if k == NIGHT or len(labels) > 1)
    least = FEWEST_EXPECTED * _numbers(by_slot, "slots")[names == NIGHT].sum()
    alone = _numbers(by_slot, "alone")
    both = _numbers(by_slot, "slots") + alone
    sized = names == _SIZE
    cells, bins = _cells(_by_candidate(slots.filter("logged"), least).toArrow(), groups, kinds)
    return ShowCounts(
        cells=cells,
        sums=tuple(
            SlotSums(k, groups[k], **{n: _numbers(by_slot, n)[names == k] for n in _SLOT})
            for k in kinds
            if k != HALF
        ),
        bins=bins,
        inverse=_inverse(slots.filter(~F.col("logged")), kinds, tolerance)
        if alone[names == NIGHT].sum()
        else (),
        sizes=dict(
            zip(
                _labels(by_slot, "group")[sized].astype(int).tolist(),
                both[sized].tolist(),
                strict=True,
            )
        ),
    )


def _slots(impressions: DataFrame, share: float) -> DataFrame:
    """One row a slot whose shown item has a propensity: its groups, candidates and their q."""
    from pyspark.sql import functions as F

    c = F.col
    parts = 1_000_000
    q = c("candidate_propensities")
    place = F.array_position("candidates", c("item_id")).cast("int")
    many = F.size("candidates")
    complete = (F.size(q) == many) & F.forall(q, lambda x: x >= 0)
    rows = impressions.filter(
        (c("propensity_kind") == "conditional")
        & (c("propensity") > 0)
        & (c("propensity") <= 1)
        & (place > 0)
    )
    if share < 1:
        rows = rows.filter(F.pmod(F.xxhash64("request_id"), F.lit(parts)) < int(share * parts))
    return rows.select(
        F.array(
            _group(NIGHT, F.lit("")),
            _group("position", c("position").cast("string")),
            _group("scene", c("scene")),
            _group("policy", c("policy_id")),
            _group("hour", F.date_format("ts", "HH")),
            _group(HALF, F.pmod(F.xxhash64("request_id"), F.lit(2)).cast("string")),
        ).alias("groups"),
        _group(_SIZE, _place_in(SIZES, many).cast("string")).alias("size"),
        "candidates",
        "item_id",
        "propensity",
        q.alias("q"),
        (place - 1).alias("place"),
        many.cast("double").alias("many"),
        F.aggregate(q, F.lit(0.0), lambda a, b: a + b).alias("total"),
        F.coalesce(complete & (F.get(q, place - 1) > 0), F.lit(False)).alias("logged"),
    )


def _place_in(edges: Sequence[float], value: Column) -> Column:
    """Number of edges below the value, as ``numpy.searchsorted`` counts them."""
    return reduce(add, ((value > edge).cast("int") for edge in edges))


def _group(kind: str, label: Column) -> Column:
    from pyspark.sql import functions as F

    return F.struct(F.lit(kind).alias("kind"), F.coalesce(label, F.lit("")).alias("group"))


def _by_slot(slots: DataFrame, sum_tolerance: float) -> DataFrame:
    """kind, group and the sums of ``SlotSums``, and ``alone``: slots that log one propensity."""
    from pyspark.sql import functions as F

    c = F.col

    def total(term: Any) -> Column:
        terms = F.transform("q", lambda x: term(x / c("total")))
        return F.aggregate(terms, F.lit(0.0), lambda a, b: a + b)

    def log(x: Column) -> Column:
        return F.when(x > 0, F.log(x)).otherwise(0.0)

    entropy = -total(lambda x: x * log(x))
    squares = total(lambda x: x * log(x) * log(x))
    smallest = F.array_min(F.filter("q", lambda x: x > 0)) / c("total")
    logged = c("logged")
    full = slots.select(
        F.array_append("groups", c("size")).alias("groups"),
        logged,
        F.when(logged, F.log(F.get("q", c("place")) / c("total"))).alias("log_shown"),
        F.when(logged, entropy).alias("entropy"),
        F.when(logged, squares).alias("squares"),
        F.when(logged, -F.log(smallest)).alias("rarest"),
        F.when(logged, F.log("many")).alias("log_many"),
        F.when(logged, c("total")).alias("total"),
    )
    variance = F.greatest(c("squares") - c("entropy") * c("entropy"), F.lit(0.0))
    sums = {
        "slots": F.count_if("logged"),
        "alone": F.count_if(~logged),
        "surprise": F.sum(c("log_shown") + c("entropy")),
        "surprise_variance": F.sum(variance),
        "largest": F.max("rarest"),
        "entropy": F.sum("entropy"),
        "log_candidates": F.sum("log_many"),
        "total": F.sum("total"),
        "improper": F.count_if(F.abs(c("total") - 1) > sum_tolerance),
    }
    exploded = full.select(F.inline("groups"), *(n for n in full.columns if n != "groups"))
    return (
        exploded.groupBy("kind", "group")
        .agg(*(F.coalesce(v.cast("double"), F.lit(0.0)).alias(k) for k, v in sums.items()))
        .orderBy("kind", "group")
    )


def _by_candidate(full: DataFrame, least: float) -> DataFrame:
    """kind, group, item and the sums of ``ItemCells``; the item is empty for bins.

    Cells of groups that expect fewer than ``least`` shows are left out.
    """
    from pyspark.sql import functions as F

    c = F.col
    candidates = full.select(
        "groups", "place", "many", "q", "total", F.posexplode("candidates").alias("at", _ITEM)
    ).select(
        "groups",
        _ITEM,
        (F.get("q", c("at")) / c("total")).alias("expected"),
        (1 / c("many")).alias("uniform"),
        (c("at") == c("place")).cast("double").alias("shown"),
    )
    bin_ = _place_in(BINS, c("expected"))
    grouped = F.transform(
        "groups", lambda g: F.struct(g["kind"], g["group"], c(_ITEM).alias(_ITEM))
    )
    own = F.struct(
        F.lit(_BIN).alias("kind"), bin_.cast("string").alias("group"), F.lit("").alias(_ITEM)
    )
    everywhere = F.concat(grouped, F.array(own))
    exploded = candidates.select(F.inline(everywhere), "expected", "uniform", "shown")
    summed = exploded.groupBy("kind", "group", _ITEM).agg(
        F.count("*").cast("double").alias("slots"),
        F.sum("expected").alias("expected"),
        F.sum(c("expected") * (1 - c("expected"))).alias("variance"),
        F.sum("uniform").alias("uniform"),
        F.sum("shown").alias("shown"),
    )
    whole = c("kind").isin(NIGHT, HALF, _BIN)
    return summed.filter(whole | (c("expected") >= least)).orderBy("kind", "group", _ITEM)


def _cells(
    table: pa.Table, groups: dict[str, NDArray[np.object_]], kinds: tuple[str, ...]
) -> tuple[tuple[ItemCells, ...], Bins]:
    kind, group, name = (_labels(table, n) for n in ("kind", "group", _ITEM))
    numbers = {n: _numbers(table, n) for n in _CANDIDATE}
    items = name[kind == NIGHT]
    found = []
    for k in kinds:
        mine = kind == k
        found.append(
            ItemCells(
                k,
                groups[k],
                items,
                _codes(group[mine], groups[k]),
                _codes(name[mine], items),
                **{n: v[mine] for n, v in numbers.items()},
            )
        )
    bins = [np.zeros(len(BINS) + 1) for _ in range(4)]
    mine = kind == _BIN
    place = group[mine].astype(np.int64)
    for out, n in zip(bins, ("slots", "expected", "variance", "shown"), strict=True):
        out[place] = numbers[n][mine]
    return tuple(found), Bins(*bins)


def _inverse(
    alone: DataFrame, kinds: tuple[str, ...], tolerance: float
) -> tuple[InverseShows, ...]:
    """Sums of the slots that log the shown item's propensity alone."""
    from pyspark.sql import functions as F

    c = F.col
    inverse = 1 / c("propensity")
    shown = c("at") == c("place")
    by_item = alone.select("place", "propensity", F.posexplode("candidates").alias("at", "label"))
    capitals = [f"capital_{k}" for k in range(len(STAKES))]

    def capital(term: Column) -> list[Column]:
        gain = term / (1 + tolerance) - 1
        return [
            F.coalesce(F.sum(F.log1p(gain * s)), F.lit(0.0)).alias(n)
            for s, n in zip(STAKES, capitals, strict=True)
        ]

    term = F.when(shown, inverse)
    items = by_item.groupBy(F.lit(_ITEM).alias("kind"), "label").agg(
        F.count("*").cast("double").alias("slots"),
        F.count_if(shown).cast("double").alias("shown"),
        F.coalesce(F.sum(term), F.lit(0.0)).alias("inverse"),
        F.coalesce(F.sum((1 - c("propensity")) * term * term), F.lit(0.0)).alias("variance"),
        *capital(term),
    )
    slots = alone.select(F.inline("groups"), (inverse / c("many")).alias("term")).withColumnRenamed(
        "group", "label"
    )
    groups = slots.groupBy("kind", "label").agg(
        F.count("*").cast("double").alias("slots"),
        F.count("*").cast("double").alias("shown"),
        F.sum("term").alias("inverse"),
        (F.var_pop("term") * F.count("*")).alias("variance"),
        *capital(c("term")),
    )
    table = items.union(groups).orderBy("kind", "label").toArrow()
    kind, label = _labels(table, "kind"), _labels(table, "label")
    stakes = np.stack([_numbers(table, n) for n in capitals], axis=1)
    return tuple(
        InverseShows(
            kind=k,
            labels=label[kind == k],
            log_capital=stakes[kind == k],
            **{n: _numbers(table, n)[kind == k] for n in _INVERSE},
        )
        for k in (_ITEM, *kinds)
        if k != HALF
    )


def _codes(labels: NDArray[np.object_], known: NDArray[np.object_]) -> NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(pa.array(labels, pa.string()), value_set=pa.array(known, pa.string()))
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def _labels(table: pa.Table, name: str) -> NDArray[np.object_]:
    found: NDArray[np.object_] = table[name].to_numpy(zero_copy_only=False)
    return found


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table[name].to_numpy(), np.float64)
