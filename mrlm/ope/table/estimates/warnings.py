"""What limits the evaluation of a table, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from mrlm.messages.message import Joined, Message
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.columns.layout import DECISION


def warnings(columns: Columns) -> Iterator[str]:
    """Sentences on the unit of independence and on columns that are of no use alone."""
    layout = columns.layout
    if columns.unit is None:
        yield Message(
            "there is no user_id: each row is taken for a user of its own, and the intervals are "
            "too narrow if users come back"
        )
    elif columns.unit != "user_id":
        yield Message(
            "there is no user_id: intervals are clustered by {unit}, and too narrow if users come "
            "back",
            unit=columns.unit,
        )
    for place in layout.unused:
        round_id = "request_id" if place == "slot" else "session_id"
        yield Message(
            "{place} is given without {round_id}: each row is taken for a decision of its own",
            place=place,
            round_id=round_id,
        )
    decisions = layout.round == DECISION
    without = Message("no DR") if decisions else Message("no doubly robust estimate")
    if columns.q and not columns.v:
        yield Message(
            "q_hat is given without v_hat, the predicted value under the policy: {without}",
            without=Joined(", ", [without, Message("no DM")]) if decisions else without,
        )
    if columns.v and not columns.q:
        yield Message(
            "v_hat is given without q_hat, the prediction for the shown item: {without}",
            without=without,
        )
    if layout.round != DECISION and len(columns.policies) > 1:
        shared = {
            c
            for (p, o), c in columns.q.items()
            for (r, s), d in columns.q.items()
            if c == d and (p, o) != (r, s)
        }
        if shared:
            yield Message(
                "policies share the predictions {columns}: their later choices differ, so that one "
                "prediction is the better for each of its own, q_hat_POLICY",
                columns=Joined(", ", sorted(shared)),
            )
