"""What limits the evaluation of a table, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.columns.layout import DECISION


def warnings(columns: Columns) -> Iterator[str]:
    """Sentences on the unit of independence and on columns that are of no use alone."""
    layout = columns.layout
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
    for place in layout.unused:
        round_id = "request_id" if place == "slot" else "session_id"
        yield (f"{place} is given without {round_id}: each row is taken for a decision of its own")
    without = "no DR" if layout.round == DECISION else "no doubly robust estimate"
    if columns.q and not columns.v:
        also = ", no DM" if layout.round == DECISION else ""
        yield (
            f"q_hat is given without v_hat, the predicted value under the policy: {without}{also}"
        )
    if columns.v and not columns.q:
        yield f"v_hat is given without q_hat, the prediction for the shown item: {without}"
    if layout.round != DECISION and len(columns.policies) > 1:
        shared = {
            c
            for (p, o), c in columns.q.items()
            for (r, s), d in columns.q.items()
            if c == d and (p, o) != (r, s)
        }
        if shared:
            yield (
                f"policies share the predictions {', '.join(sorted(shared))}: their later choices "
                "differ, so that one prediction is the better for each of its own, "
                "q_hat_POLICY"
            )
