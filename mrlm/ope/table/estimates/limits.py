"""How large one pass over a table may become, so that its memory stays within 2 GiB."""

from __future__ import annotations

import math

from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.columns.layout import DECISION

ESTIMATES = 5_000
STATE_BYTES = 1 << 30
_BATCH_BYTES, _NEW_BYTES = 1 << 29, 1 << 28
_LEAST_ROWS = 64
# Ratios of a policy's estimate: one of a decision's, up to so many of a slate's or session's.
_DECISION_TERMS, _ROUND_TERMS = 1, 6


def check_estimates(columns: Columns, estimators: int) -> None:
    """Refuse a table whose estimates and paired differences are too many for one pass.

    Raises:
        ValueError: they are; what their number is made of is named.
    """
    policies, objectives = len(columns.policies), len(columns.objectives)
    found = estimators * objectives * (policies + math.comb(policies, 2))
    if found > ESTIMATES:
        raise ValueError(
            f"{policies} policies with their pairs, {objectives} objectives and {estimators} "
            f"estimators make {found} estimates, and one pass makes at most {ESTIMATES}: leave out "
            "columns target_probability_* or reward_*, or ask for fewer estimators"
        )


def state_bytes(users: int, objectives: int, terms: int, policies: int) -> int:
    """Bytes of an ``EvaluationState``."""
    return 8 * users * objectives * (1 + 2 * terms + 8 * policies)


def rows_at_once(columns: Columns, estimators: int, kept: bool) -> int:
    """Rows of a batch, at most; every row may be a user, and a round, of its own.

    Args:
        columns: of the table.
        estimators: of each policy and difference.
        kept: whether the sums of every user are kept until the end.
    """
    policies, objectives = len(columns.policies), len(columns.objectives)
    alone = _DECISION_TERMS if columns.layout.round == DECISION else _ROUND_TERMS
    # Moments of a user's sums: numerators and denominators of the terms of two policies.
    sums = 2 * alone * min(policies, 2)
    numbers = objectives * (3 * sums**2 + 10 * policies + 60) + 4 * policies + len(columns.read)
    most = _BATCH_BYTES // (8 * numbers)
    if kept:
        new = policies * state_bytes(1, objectives, alone, 1)
        new += math.comb(policies, 2) * state_bytes(1, objectives, 2 * alone, 2)
        most = min(most, _NEW_BYTES // (new * max(estimators, 1)))
    return max(most, _LEAST_ROWS)


def check_states(bytes_: int, users: int, unit: str | None) -> None:
    """Refuse to go on where the sums of users who may come again have become too large.

    Raises:
        ValueError: they have.
    """
    if bytes_ > STATE_BYTES:
        raise ValueError(
            f"the sums of {users} users in no order take more than {STATE_BYTES >> 30} GiB: sort "
            f"the table by {unit} and say so, --sorted-by-user (order='sorted'), or ask for fewer "
            "estimators, policies or rewards at once"
        )
