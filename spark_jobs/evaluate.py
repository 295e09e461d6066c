"""Off-policy evaluation over Spark partitions: a state each, merged on the driver."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pyarrow as pa
from pyspark.sql import DataFrame

from mrlm.ope.difference import difference
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.state.state_bytes import from_bytes, to_bytes
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.estimates.readings import possible
from mrlm.ope.table.rounds.to_logged import to_logged
from spark_jobs.contract.errors import InputError

Key = tuple[str, tuple[str, ...]]
_STATE = pa.schema([("state", pa.binary())])


def evaluate(rows: DataFrame) -> dict[Key, EvaluationState]:
    """States of every estimate that the columns allow, by estimator and policies.

    The columns are those of ``Columns`` in ``mrlm.ope.table``; two policies give their paired
    difference too. Rows may lie in any partition and order: ``mrlm.ope.estimates`` of a state is
    what one pass on one machine gives, but for one check that a table gets and these states do
    not: whether ``v_hat`` is the expectation of ``q_hat``. Workers need mrlm, numpy and pyarrow.

    Raises:
        InputError: a column is missing, there is no unit of independence, or there are no rows.
    """
    try:
        columns = Columns.of(rows.columns)
    except ValueError as error:
        raise InputError(str(error)) from None
    if columns.unit is None:
        raise InputError("partitions do not number their rows: add a column user_id")

    def states(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: dict[Key, EvaluationState] = {}
        for part in parts:
            if part.num_rows:
                _add(found, part, columns)
        packed = [to_bytes(state) for state in found.values()]
        yield pa.RecordBatch.from_arrays([pa.array(packed, pa.binary())], schema=_STATE)

    collected = rows.select(*columns.read).mapInArrow(states, "state binary").collect()
    by_key: dict[Key, list[EvaluationState]] = {}
    for row in collected:
        state = from_bytes(bytes(row["state"]))
        by_key.setdefault((state.estimator, state.policies), []).append(state)
    if not by_key:
        raise InputError("the table has no rows")
    return {key: _merged(found) for key, found in by_key.items()}


def _add(found: dict[Key, EvaluationState], part: pa.RecordBatch, columns: Columns) -> None:
    logged = to_logged(part, columns)
    for estimator in possible(columns):
        scores = [estimator(table) for table in logged]
        for s in [*scores, *(difference(a, b) for a, b in combinations(scores, 2))]:
            key = (s.estimator, s.policies)
            found[key] = found[key].add(s) if key in found else EvaluationState.of(s)


def _merged(states: list[EvaluationState]) -> EvaluationState:
    """All in one, in pairs: each user's sums are copied a logarithmic number of times."""
    while len(states) > 1:
        pairs = zip(states[::2], states[1::2], strict=False)
        odd = states[-1:] if len(states) % 2 else []
        states = [a.merge(b) for a, b in pairs] + odd
    return states[0]
