"""What the columns of slates allow: the kind of their propensities, and the estimators for it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mrlm.ope.checks import RowError
from mrlm.ope.slates import SLATE_ESTIMATORS, UniformRankingPI
from mrlm.ope.slates.kinds import CONDITIONAL, EXPOSURE, WHAT_TO_LOG, kind_problem
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.rounds.numbered import Numbered

# Their propensities must also be those of uniformly random rankings.
NEED_UNIFORM_RANKINGS = (UniformRankingPI().name, UniformRankingPI(self_normalised=True).name)


def first_kind(part: pa.RecordBatch, columns: Columns, asked: str | None) -> str:
    """The kind of the propensities: the one that is asked for, the column's, or conditional.

    Raises:
        ValueError: the kind is unknown, or lacks its column.
    """
    kind = asked
    if columns.kind is not None:
        values = part.column(columns.kind)
        _check_text(columns.kind, values.type)
        kind = values[0].as_py() if kind is None else kind
    kind = CONDITIONAL if kind is None else kind
    if kind not in WHAT_TO_LOG:
        raise ValueError(
            f"the propensity kind must be one of {', '.join(WHAT_TO_LOG)}; got {kind!r}"
        )
    if kind == EXPOSURE and columns.examination is None:
        raise ValueError(
            f"propensities of kind {EXPOSURE} need the column examination, the probability that "
            "the user looks at the slot"
        )
    return kind


def _check_text(name: str, kind: pa.DataType) -> None:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise ValueError(f"column {name} must be text; it is {kind}")


def check_kind(rows: Numbered, columns: Columns, kind: str) -> None:
    """Check that all propensities of a batch are of one kind; an empty cell says nothing.

    Raises:
        ValueError: a row has another kind; it is named.
    """
    if columns.kind is None:
        return
    number, part = rows
    values = part.column(columns.kind)
    other = pc.fill_null(pc.not_equal(pc.cast(values, pa.string()), kind), False)
    found = np.flatnonzero(other.to_numpy(zero_copy_only=False))
    if len(found):
        i = int(found[0])
        raise RowError(
            int(number[i]),
            f"{columns.kind} is {values[i].as_py()!r} in a table of kind {kind!r}: evaluate each "
            "kind as a table of its own",
        )


def refused_slates(columns: Columns, kind: str) -> dict[str, str]:
    """Slate estimators that the columns do not allow, with the reason."""
    found = {}
    for name, estimator in SLATE_ESTIMATORS.items():
        reason = kind_problem(name, estimator.kinds, kind)
        if reason is None and estimator.needs_q and not (columns.q and columns.v):
            reason = (
                f"{name} needs the columns q_hat, the predicted sum of the rewards of a slot and "
                "those below it, and v_hat, its expectation under the policy"
            )
        if reason is None and name in NEED_UNIFORM_RANKINGS and not columns.inclusion:
            reason = (
                f"{name} needs the column inclusion, the policy's probability that the slot's item "
                "is anywhere in the slate"
            )
        if reason is not None:
            found[name] = reason
    return found
