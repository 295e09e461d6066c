"""Nights of a log of any length, written as a night's own Parquet, a piece at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog, Objective
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.stored.schema import DECISIONS, HISTORIES, bandit_log_schema, histories_schema

OBJECTIVES = (
    Objective("click", "feedback", "north_star", event="click", transform="any", missing=0.0),
    Objective("dwell", "feedback", event="dwell", unit="seconds"),
)
DIMENSIONS, TASTES, CANDIDATES = 64, 8, 20
_ITEMS = 2000
# Of each user on the one night on which the user comes: decisions, and entries looked back on.
OF_A_USER, ENTRIES = 5, 20
FIRST = np.datetime64("2026-01-01")
_NOON, _DAY = np.timedelta64(12, "h"), np.timedelta64(1, "D")
_USERS_OF_A_PIECE = 10_000
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class World(Protocol):
    """Users, what they are offered, and what they click."""

    @property
    def catalog(self) -> Catalog:
        """The items, with embeddings."""
        ...

    def users(self, night: int, first: int, many: int) -> tuple[NDArray[np.object_], Floats]:
        """Names, and tastes, (many, width), of users who come on a night, from the first one on."""
        ...

    def offered(self, rng: np.random.Generator, n: int) -> Codes:
        """Different items, (n, CANDIDATES)."""
        ...

    def met(self, rng: np.random.Generator, n: int) -> Codes:
        """Items of histories, (n,)."""
        ...

    def logit(self, taste: Floats, item: Codes) -> Floats:
        """Of a click, (n,), of users with tastes, (n, width), and items."""
        ...


class EvenWorld:
    """Items that are offered alike; each user comes on one night."""

    @property
    def catalog(self) -> Catalog:
        """Items whose first numbers are what tastes are about."""
        return drawn_catalog(_ITEMS)

    def users(self, night: int, first: int, many: int) -> tuple[NDArray[np.object_], Floats]:
        """See ``World``."""
        rng = np.random.default_rng([night, first, 1])
        names = np.array([f"u{night}-{i}" for i in range(first, first + many)], object)
        return names, rng.standard_normal((many, TASTES)) / np.sqrt(TASTES)

    def offered(self, rng: np.random.Generator, n: int) -> Codes:
        """See ``World``."""
        # An odd stride visits twenty different items.
        first, stride = rng.integers(0, _ITEMS, n), 2 * rng.integers(0, 90, n) + 1
        found: Codes = (first[:, None] + stride[:, None] * np.arange(CANDIDATES)) % _ITEMS
        return found

    def met(self, rng: np.random.Generator, n: int) -> Codes:
        """See ``World``."""
        return rng.integers(0, _ITEMS, n)

    def logit(self, taste: Floats, item: Codes) -> Floats:
        """See ``World``."""
        embedding = self.catalog.embedding
        assert embedding is not None
        return np.asarray((taste * embedding[item, :TASTES]).sum(axis=1) - 1.5, np.float64)


@cache
def drawn_catalog(items: int) -> Catalog:
    """So many items with embeddings of independent numbers."""
    names = [f"i{i:06d}" for i in range(items)]
    rows = [{"item_id": name, "categories": [f"c{i % 20}"]} for i, name in enumerate(names)]
    embedding = np.random.default_rng(0).standard_normal((items, DIMENSIONS)).astype(np.float32)
    return Catalog.from_table(pa.Table.from_pylist(rows, ITEMS_SCHEMA)).with_embedding(embedding)


def write_nights(world: World, folder: Path, decisions: int, nights: range) -> list[Path]:
    """Equal nights with so many decisions in all, shown uniformly; the nights' folders."""
    users, found = decisions // len(nights) // OF_A_USER, []
    for night in nights:
        place = folder / f"night={FIRST + night}"
        for name in (DECISIONS, HISTORIES):
            (place / name).mkdir(parents=True)
        for first in range(0, users, _USERS_OF_A_PIECE):
            piece = _Piece.of(world, night, first, min(_USERS_OF_A_PIECE, users - first))
            part = f"{first:09d}.parquet"
            pq.write_table(piece.decisions(), place / DECISIONS / part)
            pq.write_table(piece.histories(), place / HISTORIES / part)
        found.append(place)
    return found


@dataclass(frozen=True)
class _Piece:
    """Some users of a night.

    Attributes:
        world: whose users they are.
        night: datetime64[D].
        names: of the users, shape (u,).
        taste: float64, shape (u, width).
        rng: what is drawn of them.
    """

    world: World
    night: np.datetime64
    names: NDArray[np.object_]
    taste: NDArray[np.float64]
    rng: np.random.Generator

    @classmethod
    def of(cls, world: World, night: int, first: int, users: int) -> _Piece:
        rng = np.random.default_rng([night, first])
        return cls(world, FIRST + night, *world.users(night, first, users), rng)

    def decisions(self) -> pa.Table:
        """As ``bandit_log_schema``."""
        user = np.repeat(np.arange(len(self.names)), OF_A_USER)
        step = np.tile(np.arange(OF_A_USER), len(self.names))
        n = len(user)
        offered, ids = self.world.offered(self.rng, n), self.world.catalog.item_id
        action = self.rng.integers(0, CANDIDATES, n)
        shown = offered[np.arange(n), action]
        click = self._likes(user, shown)
        dwell = np.where(click > 0, self.rng.gamma(2.0, 10.0, n), np.nan)
        request = np.array([f"{self.names[u]}-{s}" for u, s in zip(user, step, strict=True)])
        ts = (self.night + _NOON).astype("datetime64[us]") + step * np.timedelta64(1_000_000, "us")
        columns = {
            "decision_id": np.char.add(request, "#1"),
            "request_id": request,
            "night": np.full(n, self.night),
            "ts": ts,
            "user": self.names[user],
            "session": self.names[user],
            "session_step": step,
            "scene": np.full(n, "home", object),
            "position": np.ones(n),
            "item_id": ids[shown],
            "action": action,
            "propensity": np.full(n, 1 / CANDIDATES),
            "candidates": _lists(ids[offered.ravel()], n),
            "candidate_propensities": _lists(np.full(n * CANDIDATES, 1 / CANDIDATES), n),
            "above": _lists(np.array([], object), n),
            "reward_click": click,
            "reward_dwell": pa.array(dwell, from_pandas=True),
            "final_click": np.ones(n, np.bool_),
            "final_dwell": np.ones(n, np.bool_),
        }
        return _table(columns, bandit_log_schema(OBJECTIVES))

    def histories(self) -> pa.Table:
        """As ``histories_schema``: shows of the day before."""
        user = np.repeat(np.arange(len(self.names)), ENTRIES)
        item = self.world.met(self.rng, len(user))
        shown = np.full(len(user), (self.night - _DAY + _NOON).astype("datetime64[us]"))
        columns = {
            "user": self.names[user],
            "item_id": self.world.catalog.item_id[item],
            "shown": shown,
            "known_from": shown,
            "reward_click": self._likes(user, item),
        }
        return _table(columns, histories_schema(["click", "dwell"]))

    def _likes(self, user: NDArray[np.int64], item: NDArray[np.int64]) -> NDArray[np.float64]:
        logit = self.world.logit(self.taste[user], item)
        return (self.rng.random(len(user)) < 1 / (1 + np.exp(-logit))).astype(np.float64)


def _lists(values: NDArray[Any], n: int) -> pa.ListArray:
    offsets = np.linspace(0, len(values), n + 1).astype(np.int32)
    kind = pa.string() if values.dtype == object else pa.float64()
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, kind))


def _table(columns: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """Columns in the schema's types; those that are not given hold nulls."""
    rows = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(rows, f.type)
        for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
