"""Every estimate that a table allows, in one pass over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from mrlm.ope.checks import RowError, check_between_0_and_1
from mrlm.ope.intervals.stream import Order
from mrlm.ope.sequential.steps import check_discount, labelled
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.columns.layout import SESSION, SLATE
from mrlm.ope.table.estimates.limits import check_estimates, rows_at_once
from mrlm.ope.table.estimates.readings import Reading, reading
from mrlm.ope.table.estimates.result import PREFERRED, TableEvaluation, selected
from mrlm.ope.table.estimates.slate_columns import check_kind, first_kind
from mrlm.ope.table.estimates.sums import Sums
from mrlm.ope.table.estimates.tuned_estimators import tune_table
from mrlm.ope.table.estimates.warnings import warnings
from mrlm.ope.table.files.any_format import batches
from mrlm.ope.table.files.file_error import FileError
from mrlm.ope.table.files.folder import file_of
from mrlm.ope.table.rounds.numbered import Numbered, numbered
from mrlm.ope.table.rounds.rising import Rising
from mrlm.ope.table.rounds.whole_rounds import whole_rounds
from mrlm.ope.verdict.certify import Thresholds


@dataclass(frozen=True)
class TableRequest:
    """How a table is to be evaluated; see ``evaluate_table``."""

    level: float = 0.95
    order: Order = "scattered"
    thresholds: Thresholds | None = None
    round: str | None = None
    propensity_kind: str | None = None
    discount: float = 1.0
    estimators: Sequence[str] | None = None


def evaluate_table(
    path: Path,
    level: float = 0.95,
    order: Order = "scattered",
    thresholds: Thresholds | None = None,
    round: str | None = None,
    propensity_kind: str | None = None,
    discount: float = 1.0,
    estimators: Sequence[str] | None = None,
) -> TableEvaluation:
    """Evaluate the policies of a table; see ``Columns.of`` for its columns.

    The value is that of a decision, of a slate or of a session, whichever the columns say. Of
    decisions, IPS and SNIPS need nothing else, DM needs ``v_hat``, DR and SNDR ``q_hat`` and
    ``v_hat``. Of slates and sessions all estimators are listed, and those that the columns do not
    allow are refused with the reason. Users who come in rising order (``order="sorted"``) and rows
    that name no unit take memory that does not grow with the users.

    Args:
        path: Parquet file or folder, CSV, obp feedback or VW dsjson.
        level: two-sided level of the intervals.
        order: how users lie in the file.
        thresholds: what an interval needs before it is certified.
        round: ``decision``, ``slate`` or ``session``; None takes what the columns say.
        propensity_kind: of slates, see ``SlateBatch``; None takes the column ``propensity_kind``,
            or ``conditional`` where there is none.
        discount: factor a step of a session on later rewards, in (0, 1].
        estimators: names of those wanted; None takes all that need no tuning. Of decisions there
            are also ``clipped_ips`` and, with predictions, ``switch_dr``, ``dr_os`` and ``dr_ps``:
            biased, never certified. For either half of the users the other half chooses their
            parameter (``mrlm.ope.choice.tuning.tune``), in a first pass over at most
            ``mrlm.ope.table.estimates.tuned_estimators.TUNING_ROWS`` rows of each.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: the table cannot be evaluated; file, row and column are named.
        ValueError: the level or the discount is out of range.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import pyarrow as pa
        >>> import pyarrow.parquet as pq
        >>> from mrlm import evaluate_table
        >>> random = np.random.default_rng(0)
        >>> shown = random.random(2000) < 0.5  # the logger shows A or B with the same chance
        >>> table = pa.table(
        ...     {
        ...         "user_id": [f"u{i % 400}" for i in range(2000)],
        ...         "propensity": np.full(2000, 0.5),
        ...         "target_probability": np.where(shown, 0.8, 0.2),
        ...         "reward": (random.random(2000) < np.where(shown, 0.3, 0.1)).astype(float),
        ...     }
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pq.write_table(table, Path(folder, "log.parquet"))
        ...     found = evaluate_table(Path(folder, "log.parquet"))
        >>> best = found.best(found.estimates)
        >>> best.estimator, best.certified, f"{best.value:.2f}"
        ('snips', True, '0.27')
    """
    check_between_0_and_1("level", level)
    check_discount(discount)
    request = TableRequest(level, order, thresholds, round, propensity_kind, discount, estimators)
    try:
        return _evaluate(path, request)
    except FileError:
        raise
    except RowError as error:
        file, row = file_of(path, error.row)
        raise FileError(file, f"row {row}: {error.problem}") from None
    except ValueError as error:
        raise FileError(path, str(error)) from None


# Sums that overflow are not finite, which certification refuses.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _evaluate(path: Path, request: TableRequest) -> TableEvaluation:
    parts = numbered(batches(path, request.round))
    found = next(parts, None)
    if found is None:
        raise ValueError("the table has no rows")
    columns = Columns.of(found[1].schema.names, request.round)
    layout = columns.layout
    kind = _kind(found, columns, request)
    plan = reading(columns, kind, request.discount, request.estimators)
    complete = columns.unit is None or columns.unit == layout.round_id
    order: Order = "complete" if complete else request.order
    check_estimates(columns, len(plan.names))
    most = rows_at_once(columns, len(plan.names), kept=order == "scattered")
    if plan.families:
        again = numbered(batches(path, request.round))
        plan.with_tuning(tune_table(again, columns, request.level, plan.families, most))
    whole: Iterator[Numbered] = _short(chain([found], parts), most)
    if layout.round_id is not None:
        whole = whole_rounds(whole, layout.round_id, most)
    sums, rising = Sums(), Rising(columns.unit if order == "sorted" else None)
    for part in whole:
        rising.check(part)
        if kind is not None:
            check_kind(part, columns, kind)
        sums.add(part, plan, order)
    return _result(sums, plan, request)


def _short(parts: Iterable[Numbered], most: int) -> Iterator[Numbered]:
    """The same rows in batches of at most so many."""
    for rows, batch in parts:
        for start in range(0, len(rows), most):
            yield rows[start : start + most], batch.slice(start, most)


def _result(sums: Sums, plan: Reading, request: TableRequest) -> TableEvaluation:
    columns = plan.columns
    single, paired = sums.estimates(plan, request.level, request.thresholds)
    preferred = [labelled(n, request.discount) for n in PREFERRED[columns.layout.round]]
    if request.estimators is not None:
        # Whoever asks for others by name takes them after these, certified like these.
        preferred += [n for n in plan.names if n not in preferred]
    return TableEvaluation(
        estimates=single,
        differences=paired,
        selected={
            o: selected([e for e in single if e.objective == o], preferred)
            for o in columns.objectives
        },
        weights=sums.weights,
        rows=sums.rows,
        unit=columns.unit,
        warnings=tuple(warnings(columns)),
        round=columns.layout.round,
        tuned=plan.tuning.labels(),
        preferred=tuple(preferred),
    )


def _kind(found: Numbered, columns: Columns, request: TableRequest) -> str | None:
    round = columns.layout.round
    if request.discount != 1 and round != SESSION:
        raise ValueError(
            f"a discount is one of sessions, and these rows are of a {round}: leave the option "
            "out, or add session_id and step"
        )
    if round == SLATE:
        return first_kind(found[1], columns, request.propensity_kind)
    if request.propensity_kind is not None:
        raise ValueError(
            f"a propensity kind is one of slates, and these rows are of a {round}: leave the "
            "option out, or add request_id and slot"
        )
    return None
