"""For whom the challenger is better or worse: rows of a table and of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Message


@dataclass(frozen=True)
class GroupRow:
    """One group and objective as it is drawn.

    Attributes:
        label: of the group, in words.
        objective: the north star or a guardrail.
        rows: decisions.
        users: among them.
        estimate: challenger - champion.
        verdict: what the interval says, which holds for all groups together.
        low: where the interval begins in the picture, 0 to 100.
        middle: where its value lies.
        high: where it ends.
        zero: where no change lies.
    """

    label: str
    objective: str
    rows: int
    users: int
    estimate: PolicyEstimate
    verdict: Literal["better", "worse", "not known"]
    low: float
    middle: float
    high: float
    zero: float


def group_rows(evidence: Evidence, objective: str) -> list[GroupRow]:
    """A row for each group with an interval of the objective, in the order of the evidence."""
    found = [(g, g.differences[objective]) for g in evidence.groups if objective in g.differences]
    told = [(g, e) for g, e in found if e.certified and _ends(e) is not None]
    ends = [x for _, e in told for x in _ends(e) or ()]
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    width = (high - low) or 1.0

    def place(x: float) -> float:
        return 100 * (x - low) / width

    rows = []
    for g, e in told:
        bounds = _ends(e) or (0.0, 0.0)
        middle = place(e.value or 0.0)
        rows.append(
            GroupRow(
                g.in_words,
                objective,
                g.rows,
                g.users,
                e,
                _verdict(e),
                place(bounds[0]),
                middle,
                place(bounds[1]),
                place(0.0),
            )
        )
    return rows


def all_group_rows(evidence: Evidence) -> list[GroupRow]:
    """The rows of the north star, then of each guardrail."""
    return [row for objective in evidence.limits for row in group_rows(evidence, objective)]


def who_is_worse_off(evidence: Evidence) -> list[str]:
    """Groups and objectives that the challenger is shown to make worse, in words."""
    rows = all_group_rows(evidence)
    return [
        Message("{objective} of {group}", objective=row.objective, group=row.label)
        for row in rows
        if row.verdict == "worse"
    ]


def _verdict(estimate: PolicyEstimate) -> Literal["better", "worse", "not known"]:
    lower, upper = _ends(estimate) or (0.0, 0.0)
    return "better" if lower > 0 else "worse" if upper < 0 else "not known"


def _ends(estimate: PolicyEstimate) -> tuple[float, float] | None:
    if estimate.lower is None or estimate.upper is None or estimate.of_few_rows():
        return None
    return estimate.lower, estimate.upper
