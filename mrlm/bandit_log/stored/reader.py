"""Read the Parquet form of the bandit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from numpy.typing import NDArray

from mrlm.bandit_log.bandit_log import BanditLog
from mrlm.bandit_log.catalog import Catalog
from mrlm.bandit_log.decisions import Decisions
from mrlm.bandit_log.histories import Histories
from mrlm.bandit_log.known_rewards import known_rewards
from mrlm.bandit_log.objectives import Objective
from mrlm.bandit_log.ragged import Ragged
from mrlm.bandit_log.sessions.returns import with_returns
from mrlm.bandit_log.stored.schema import DECISIONS, HISTORIES, bandit_log_schema, doubt_columns
from mrlm.bandit_log.stored.stored_histories import PLACES, with_histories
from mrlm.bandit_log.stored.user_parts import Tables, parts_for, parts_of_users
from mrlm.bandit_log.stored.user_sample import UserSample

# Columns that are read of decisions with their candidates alone.
_OF_CANDIDATES = ("action", "candidates", "candidate_propensities", "above")


def read_bandit_log(
    paths: Sequence[Path],
    catalog: Catalog,
    objectives: tuple[Objective, ...],
    most: int | None = None,
    most_history: int | None = None,
) -> BanditLog:
    """Read nights of the log, rows sorted by (ts, decision_id).

    Files hold what each decision brought by itself; what follows is added here, to objectives that
    are returns (``with_returns``).

    Args:
        paths: a folder each, as ``build_log`` writes it: ``decisions`` and ``histories`` in it. A
            folder of Parquet files or one such file is a log whose decisions have no history.
        catalog: the items.
        objectives: columns of the rewards.
        most: about how many decisions of each path are read, where it has more: all decisions of
            some users, see ``UserSample``, whose night is the path's last name. None reads all.
        most_history: the newest entries that a decision looks back on; None: all that are stored.

    Raises:
        ValueError: no path is given, a column is missing, or an item is not in the catalogue.

    Examples:
        >>> import tempfile
        >>> from datetime import UTC, date, datetime
        >>> from pathlib import Path
        >>> import pyarrow as pa
        >>> import pyarrow.parquet as pq
        >>> from mrlm import Catalog, Objective, read_bandit_log
        >>> from mrlm.bandit_log.catalog import ITEMS_SCHEMA
        >>> from mrlm.bandit_log.stored.schema import bandit_log_schema
        >>> click = Objective("click", "feedback", "north_star", event="click")
        >>> row = {
        ...     "decision_id": "r1#1", "night": date(2026, 11, 20),
        ...     "ts": datetime(2026, 11, 20, 10, tzinfo=UTC), "user": "u1",
        ...     "session_step": 0, "position": 1, "action": 1, "propensity": 0.5,
        ...     "candidates": ["film-1", "film-2"], "reward_click": 1.0, "final_click": True,
        ... }
        >>> table = pa.Table.from_pylist([row], bandit_log_schema([click]))
        >>> films = [{"item_id": "film-1"}, {"item_id": "film-2"}]
        >>> catalog = Catalog.from_table(pa.Table.from_pylist(films, ITEMS_SCHEMA))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pq.write_table(table, Path(folder, "night.parquet"))
        ...     log = read_bandit_log([Path(folder, "night.parquet")], catalog, (click,))
        >>> len(log), log.rewards.tolist(), log.shown.tolist()
        (1, [[1.0]], [1])
    """
    if not paths:
        raise ValueError("no bandit log to read: no night has been built and passed validation yet")
    samples = [UserSample.of(decisions_of(p), most, p.name) for p in paths]
    return _of_users(paths, samples, catalog, objectives, most_history)


def read_in_parts(
    path: Path,
    catalog: Catalog,
    objectives: tuple[Objective, ...],
    most: int | None,
    most_history: int | None = None,
) -> Iterator[BanditLog]:
    """Every decision of a path once, in logs of whole users, each as ``read_bandit_log`` reads it.

    A hash says which users come together, so the parts are in no order of users or times. Memory is
    that of a part, however long the path, which is gone through once (``parts_of_users``).

    Args:
        path: as for ``read_bandit_log``.
        catalog: the items.
        objectives: columns of the rewards.
        most: about how many decisions a part has; None, or no more decisions: one part. Parts in
            which there is no user are left out.
        most_history: as for ``read_bandit_log``.

    Raises:
        ValueError: as for ``read_bandit_log``.
    """
    names = _names(path, bandit_log_schema(objectives), objectives)
    tables: Tables = {DECISIONS: (decisions_of(path), names)}
    if (path / HISTORIES).is_dir():
        tables[HISTORIES] = (path / HISTORIES, None)
    for part in _divided(path, tables, most):
        log = _of_users([part], [UserSample()], catalog, objectives, most_history)
        if len(log):
            yield log


def read_shown(
    path: Path, catalog: Catalog, objectives: tuple[Objective, ...], most: int | None
) -> Iterator[BanditLog]:
    """What was shown and what it brought, of every decision of a path once, as ``read_in_parts``.

    The shown item is the only candidate, and no decision looks back on anything: nothing that grows
    with candidates or histories is read.

    Args:
        path: as for ``read_bandit_log``.
        catalog: the items.
        objectives: columns of the rewards, all of the source ``feedback``.
        most: as for ``read_in_parts``.

    Raises:
        ValueError: as for ``read_bandit_log``, or a row does not say what was shown.
    """
    schema = pa.schema([f for f in bandit_log_schema(objectives) if f.name not in _OF_CANDIDATES])
    none = Histories.none()
    names = _names(path, schema, objectives)
    for part in _divided(path, {DECISIONS: (decisions_of(path), names)}, most):
        table = _read(part, UserSample(), schema, objectives)
        if table["item_id"].null_count:
            raise ValueError(f"{path}: a row has no item_id: run the stage build_log again")
        if len(table):
            yield with_returns(_from_table(_sorted(_alone(table)), none, catalog, objectives))


def _divided(path: Path, tables: Tables, most: int | None) -> Iterator[Path]:
    """Paths of parts of about ``most`` decisions; the path itself if it has no more."""
    many = parts_for(pads.dataset(decisions_of(path), partitioning=None).count_rows(), most)
    if many == 1:
        yield path
    else:
        yield from parts_of_users(tables, many)


def _alone(table: pa.Table) -> pa.Table:
    """Rows with the shown item as the only candidate, that look back on nothing."""
    n, ids = len(table), _array(table, "item_id")
    one, zeros = pa.array(np.arange(n + 1, dtype=np.int32)), pa.array(np.zeros(n, np.int64))
    nothing = pa.nulls(n, pa.list_(pa.string()))
    columns = {
        "candidates": pa.ListArray.from_arrays(one, ids),
        "candidate_propensities": pa.nulls(n, pa.list_(pa.float64())),
        "above": nothing,
        "action": zeros,
        **dict.fromkeys(PLACES, zeros),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table


def _of_users(
    paths: Sequence[Path],
    samples: Sequence[UserSample],
    catalog: Catalog,
    objectives: tuple[Objective, ...],
    most_history: int | None,
) -> BanditLog:
    """The decisions of each path's sample."""
    schema = bandit_log_schema(objectives)
    tables = [_read(p, s, schema, objectives) for p, s in zip(paths, samples, strict=True)]
    table, histories = with_histories(tables, paths, samples, catalog)
    log = _from_table(_sorted(table), histories, catalog, objectives)
    if most_history is not None:
        log = replace(log, decisions=log.decisions.looking_back_on(most_history))
    return with_returns(log)


def _sorted(table: pa.Table) -> pa.Table:
    order = pc.sort_indices(table, sort_keys=[("ts", "ascending"), ("decision_id", "ascending")])
    return table.take(order).combine_chunks()


def decisions_of(path: Path) -> Path:
    """Where the decisions of a path lie, see ``read_bandit_log``."""
    folder = path / DECISIONS
    return folder if folder.is_dir() else path


def _read(
    path: Path, sample: UserSample, schema: pa.Schema, objectives: tuple[Objective, ...]
) -> pa.Table:
    table = sample.read(decisions_of(path), _names(path, schema, objectives))
    for objective in objectives:
        if objective.source == "feedback":
            for name, kind in doubt_columns(objective):
                if name not in table.column_names:
                    table = table.append_column(name, pa.nulls(len(table), kind))
            table = _with_own_losses(table, f"lost_{objective.name}", sample.share)
    return table.select(schema.names).cast(schema)


def _names(path: Path, schema: pa.Schema, objectives: tuple[Objective, ...]) -> list[str]:
    """Columns of a schema that the decisions of a path have.

    Raises:
        ValueError: one is missing that logs of any age have.
    """
    there = pads.dataset(decisions_of(path), partitioning=None).schema.names
    brought = [o for o in objectives if o.source == "feedback"]
    newer = {name for o in brought for name, _ in doubt_columns(o)}
    missing = [n for n in schema.names if n not in there and n not in newer]
    if missing:
        raise ValueError(
            f"{path}: the bandit log lacks {missing}; the settings' objectives may have changed "
            "since it was built: run the stage build_log again"
        )
    return [n for n in schema.names if n in there]


def _with_own_losses(table: pa.Table, name: str, share: float) -> pa.Table:
    """The part of a night's lost events that falls to a share of its users, rounded up."""
    if share == 1:
        return table
    lost = pc.cast(pc.ceil(pc.multiply(pc.cast(table[name], pa.float64()), share)), pa.int32())
    return table.set_column(table.column_names.index(name), name, lost)


def _from_table(
    table: pa.Table, histories: Histories, catalog: Catalog, objectives: tuple[Objective, ...]
) -> BanditLog:
    """Build from a table of ``bandit_log_schema(objectives)`` and ``PLACES``, in its order."""
    since, until, request = (_numbers(table, name, np.int64) for name in PLACES)
    decisions = Decisions(
        catalog=catalog,
        user=_objects(table, "user"),
        scene=_objects(table, "scene"),
        position=_numbers(table, "position", np.int32),
        ts=pc.cast(_array(table, "ts"), pa.timestamp("us")).to_numpy(zero_copy_only=False),
        candidates=_codes(table, "candidates", catalog),
        histories=histories,
        since=since,
        until=until,
        request=request,
        above=_codes(table, "above", catalog),
    )
    action = _numbers(table, "action", np.int64)
    rewards = np.full((len(table), len(objectives)), np.nan)
    final = np.ones((len(table), len(objectives)), np.bool_)
    unknown = np.zeros_like(final)
    lost = np.zeros(final.shape, np.int64)
    for j, objective in enumerate(objectives):
        if objective.source == "feedback":
            rewards[:, j] = _numbers(table, f"reward_{objective.name}", np.float64)
            final[:, j] = _filled(table, f"final_{objective.name}", False)
            unknown[:, j] = _filled(table, f"unknown_{objective.name}", False)
            lost[:, j] = _filled(table, f"lost_{objective.name}", 0)
        else:
            rewards[:, j] = known_rewards(decisions, objective)[decisions.offsets[:-1] + action]
    logged = _flat(table, "candidate_propensities", np.float64)
    if len(logged) != len(decisions.candidates.values):
        logged = _fill_unlogged(table, decisions.offsets)
    return BanditLog(
        decisions=decisions,
        decision_id=_objects(table, "decision_id"),
        night=_array(table, "night").to_numpy(zero_copy_only=False).astype("datetime64[D]"),
        session=_objects(table, "session"),
        session_step=_numbers(table, "session_step", np.int32),
        action=action,
        propensity=_numbers(table, "propensity", np.float64),
        candidate_propensity=logged,
        policy_id=_objects(table, "policy_id"),
        objectives=objectives,
        rewards=rewards,
        final=final,
        unknown=unknown,
        lost=lost,
    )


def _array(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _filled(table: pa.Table, name: str, value: bool | int) -> NDArray[Any]:
    filled: NDArray[Any] = pc.fill_null(_array(table, name), value).to_numpy(zero_copy_only=False)
    return filled


def _objects(table: pa.Table, name: str) -> NDArray[np.object_]:
    filled = pc.fill_null(_array(table, name), "")
    out: NDArray[np.object_] = filled.to_numpy(zero_copy_only=False).astype(object)
    return out


def _numbers(table: pa.Table, name: str, dtype: type) -> NDArray[Any]:
    out: NDArray[Any] = _array(table, name).to_numpy(zero_copy_only=False).astype(dtype)
    return out


def _flat(table: pa.Table, name: str, dtype: type) -> NDArray[Any]:
    flat = pc.list_flatten(_array(table, name))
    out: NDArray[Any] = flat.to_numpy(zero_copy_only=False).astype(dtype)
    return out


def _offsets(table: pa.Table, name: str) -> NDArray[np.int64]:
    lengths = pc.fill_null(pc.list_value_length(_array(table, name)), 0)
    offsets = np.zeros(len(table) + 1, np.int64)
    np.cumsum(lengths.to_numpy(zero_copy_only=False), out=offsets[1:])
    return offsets


def _codes(table: pa.Table, name: str, catalog: Catalog) -> Ragged:
    ids = pc.list_flatten(_array(table, name))
    codes = catalog.codes(ids)
    if (codes < 0).any():
        unknown = ids[int(np.flatnonzero(codes < 0)[0])].as_py()
        raise ValueError(f"column {name}: item {unknown!r} is not in the catalogue")
    return Ragged(_offsets(table, name), codes)


def _fill_unlogged(table: pa.Table, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Candidate propensities where only some rows logged them: NaN for the others."""
    out = np.full(int(offsets[-1]), np.nan)
    own = _offsets(table, "candidate_propensities")
    values = _flat(table, "candidate_propensities", np.float64)
    for i in np.flatnonzero(np.diff(own) == np.diff(offsets)):
        out[offsets[i] : offsets[i + 1]] = values[own[i] : own[i + 1]]
    return out
