"""Every estimate that a table of logged rounds allows, in one pass over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from mrlm.ope.certify import Thresholds
from mrlm.ope.difference import difference
from mrlm.ope.estimators.dm import DM
from mrlm.ope.estimators.dr import DR
from mrlm.ope.estimators.ips import IPS
from mrlm.ope.estimators.sndr import SNDR
from mrlm.ope.estimators.snips import SNIPS
from mrlm.ope.intervals import Estimate
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores
from mrlm.ope.stream import Order, StreamState
from mrlm.ope.table.columns import Columns
from mrlm.ope.table.files import batches
from mrlm.ope.table.histogram import WeightHistogram
from mrlm.ope.table.to_logged import numbered, to_logged

# The order of choice: the first that is certified. It looks at weights and counts, never at values.
PREFERRED = ("dr", "snips", "ips")
_KEYS = (
    "policy",
    "objective",
    "estimator",
    "estimand",
    "value",
    "lower",
    "upper",
    "level",
    "certified",
    "reason",
    "rows_needed",
)


class TableEstimator(Protocol):
    """An estimator that reads no candidate but the shown one."""

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        ...

    def __call__(self, batch: Rounds) -> Scores:
        """Scores of every round and objective."""
        ...


@dataclass(frozen=True)
class TableEvaluation:
    """What a table says of its policies.

    Attributes:
        estimates: of every policy, objective and estimator, in this order.
        differences: of every pair of policies, likewise.
        selected: objective to the first of ``PREFERRED`` that is certified for every policy; None
            where there is none.
        weights: policy to the histogram of its importance weights.
        rows: rounds read.
        unit: column of the unit of independence; None where each row is its own.
        warnings: what limits the result, in sentences.
    """

    estimates: tuple[Estimate, ...]
    differences: tuple[Estimate, ...]
    selected: Mapping[str, str | None]
    weights: Mapping[str, WeightHistogram]
    rows: int
    unit: str | None
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """``estimates``, ``differences``, ``diagnostics`` and ``selected``, plain values only."""
        # Weights do not depend on the estimator, so the first one speaks for all.
        overlap = [
            d.to_json()
            for e in self.estimates
            if e.estimator == self.estimates[0].estimator
            for d in e.diagnostics
        ]
        return {
            "estimates": [_row(e) for e in self.estimates],
            "differences": [_row(e) for e in self.differences],
            "diagnostics": {
                "rows": self.rows,
                "unit": self.unit or "row",
                "overlap": overlap,
                "weights": {p: h.to_json() for p, h in self.weights.items()},
                "warnings": list(self.warnings),
            },
            "selected": dict(self.selected),
        }


def evaluate_table(
    path: Path,
    level: float = 0.95,
    order: Order = "scattered",
    thresholds: Thresholds | None = None,
) -> TableEvaluation:
    """Evaluate the policies of a table; see ``Columns.of`` for its columns.

    IPS and SNIPS need nothing else, DM needs ``v_hat``, DR and SNDR
    ``q_hat`` and ``v_hat``. The value is
    that of a decision: rows are rounds, whatever slot or step they were. Users who come in rising
    order (``order="sorted"``) and rows that name no unit take memory that does not grow.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the table cannot be evaluated; file, row and column are named.
    """
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1; got {level}")
    try:
        return _evaluate(batches(path), level, order, thresholds)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _evaluate(
    parts: Iterator[pa.RecordBatch], level: float, order: Order, thresholds: Thresholds | None
) -> TableEvaluation:
    columns: Columns | None = None
    states: dict[tuple[str, tuple[str, ...]], StreamState] = {}
    weights: dict[str, WeightHistogram] = {}
    rows = 0
    for first_row, part in numbered(parts):
        columns = columns or Columns.of(part.schema.names)
        chosen: Order = "complete" if columns.unit is None else order
        logged = to_logged(part, columns, first_row)
        rows += part.num_rows
        for table in logged:
            found = WeightHistogram.of(table.weight)
            known = weights.get(table.policy)
            weights[table.policy] = found if known is None else known.merge(found)
        for estimator in possible(columns):
            scores = [estimator(table) for table in logged]
            pairs = [difference(a, b) for a, b in combinations(scores, 2)]
            for s in [*scores, *pairs]:
                key = (estimator.name, s.policies)
                states[key] = states.get(key, StreamState()).add(s, chosen)
    if columns is None:
        raise ValueError("the table has no rows")
    found_all = [s.estimates(level, thresholds) for s in states.values()]
    ordered = _ordered([e for found in found_all for e in found.values()], columns)
    single = tuple(e for e in ordered if len(e.diagnostics) == 1)
    by_objective = {o: [e for e in single if e.objective == o] for o in columns.objectives}
    return TableEvaluation(
        estimates=single,
        differences=tuple(e for e in ordered if len(e.diagnostics) > 1),
        selected={o: _selected(found) for o, found in by_objective.items()},
        weights=weights,
        rows=rows,
        unit=columns.unit,
        warnings=tuple(_warnings(columns)),
    )


def possible(columns: Columns) -> list[TableEstimator]:
    """The estimators that a table of these columns allows."""
    found: list[TableEstimator] = [IPS(), SNIPS()]
    if columns.v:
        found.append(DM())
    if columns.v and columns.q:
        found += [DR(), SNDR()]
    return found


def _ordered(found: Sequence[Estimate], columns: Columns) -> list[Estimate]:
    """By policies, then objective; the estimators of each in the order of computation."""
    policies, objectives = [*columns.policies], [*columns.objectives]

    def place(e: Estimate) -> tuple[list[int], int]:
        return [policies.index(d.policy) for d in e.diagnostics], objectives.index(e.objective)

    return sorted(found, key=place)


def _selected(found: Sequence[Estimate]) -> str | None:
    for name in PREFERRED:
        mine = [e for e in found if e.estimator == name]
        if mine and all(e.certified for e in mine):
            return name
    return None


def _warnings(columns: Columns) -> Iterator[str]:
    if columns.unit is None:
        yield (
            "there is no user_id: each row is taken for a user of its own, and the intervals are "
            "too narrow if users come back"
        )
    elif columns.unit != "user_id":
        yield (
            f"there is no user_id: intervals are clustered by {columns.unit}, and too narrow if "
            "users come back"
        )
    if columns.q and not columns.v:
        yield "q_hat is given without v_hat, the predicted value under the policy: no DR, no DM"
    if columns.v and not columns.q:
        yield "v_hat is given without q_hat, the prediction for the shown item: no DR"


def _row(e: Estimate) -> dict[str, object]:
    whole = e.to_json()
    return {key: whole[key] for key in _KEYS}
