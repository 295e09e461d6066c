"""Logged rows put together to slates and to sessions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.ope.sequential import SessionBatch
from mrlm.ope.slates import SlateBatch
from mrlm.ope.slates.kinds import SLATE
from mrlm.ope.table.columns.cells import numbers_of
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.rounds.logged import LoggedTable
from mrlm.ope.table.rounds.places import Places


def to_slates(
    table: LoggedTable, batch: pa.RecordBatch, columns: Columns, places: Places, kind: str
) -> SlateBatch:
    """The slates of one policy.

    ``q_hat`` is the predicted sum of the rewards of the slot and those below it, ``v_hat`` its
    expectation over the policy's choice in the slot; see ``SlateBatch``.

    Args:
        table: the rows under the policy.
        batch: the same rows.
        columns: what they mean.
        places: where the rows stand.
        kind: of the propensities; see ``SlateBatch``.

    Raises:
        ValueError: a probability differs where it must not, or is out of range; the row is named.
    """
    order, offsets = places.order, places.offsets
    propensity, target = table.propensity[order], table.target[order]
    if kind == SLATE:
        for name, values in (("propensity", propensity), ("target probability", target)):
            first = np.repeat(values[offsets[:-1]], np.diff(offsets))
            table.refuse(
                np.abs(values - first) > 1e-9 * first,
                values,
                f"the {name} of a whole slate must be the same in all its slots",
                order,
            )

    def probability(name: str | None, least: float) -> NDArray[np.float64] | None:
        if name is None:
            return None
        values = numbers_of(batch.column(name), name)[order]
        table.refuse(
            ~((values >= least) & (values <= 1)),
            values,
            f"{name} must be a probability" + (" above 0" if least > 0 else ""),
            order,
        )
        return values

    return SlateBatch(
        cluster=table.cluster[offsets[:-1]],
        offsets=offsets,
        propensity=propensity,
        target=target,
        rewards=table.rewards[order],
        objectives=table.objectives,
        kind=kind,
        q=None if table.q is None else table.q[order],
        v=None if table.v is None else table.v[order],
        examination=probability(columns.examination, np.finfo(np.float64).tiny),
        inclusion=probability(columns.inclusion.get(table.policy), 0.0),
        policy=table.policy,
    )


def to_sessions(table: LoggedTable, places: Places) -> SessionBatch:
    """The sessions of one policy.

    ``q_hat`` is the predicted discounted sum of the rewards from the step on, ``v_hat`` its
    expectation over the policy's choice in the step; see ``SessionBatch``.

    Args:
        table: the rows under the policy.
        places: where the rows stand.
    """
    order, steps = places.order, len(table)
    predicted = table.q is not None and table.v is not None
    with np.errstate(divide="ignore"):
        log_target = np.log(table.target[order])
    return SessionBatch(
        cluster=table.cluster[places.offsets[:-1]],
        offsets=places.offsets,
        log_propensity=np.log(table.propensity[order]),
        log_target=log_target,
        rewards=table.rewards[order],
        objectives=table.objectives,
        # The shown item stands for its candidate set: q is read where it is, v is given.
        step_offsets=np.arange(steps + 1) if predicted else None,
        shown=np.arange(steps) if predicted else None,
        q=table.q[order] if predicted and table.q is not None else None,
        v=table.v[order] if predicted and table.v is not None else None,
        policy=table.policy,
    )
