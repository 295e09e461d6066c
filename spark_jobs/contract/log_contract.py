"""The raw log contract: which tables there are, and the columns of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TABLES = ("items", "impressions", "feedback")


@dataclass(frozen=True)
class RawField:
    """A column of a raw table.

    Attributes:
        name: in the contract.
        required: whether an input without it is refused.
        kind: ``text``, ``number`` and ``time`` are given their type later, where the file does not
            give it; lists and maps are read as such.
    """

    name: str
    required: bool = False
    kind: Literal["text", "number", "time", "strings", "numbers", "text_map", "number_map"] = "text"

    @property
    def scalar(self) -> bool:
        """Whether a row has one value of it."""
        return self.kind in ("text", "number", "time")


RAW: dict[str, tuple[RawField, ...]] = {
    "impressions": (
        RawField("request_id", True),
        RawField("ts", True, "time"),
        RawField("user_id", True),
        RawField("session_id"),
        RawField("scene"),
        RawField("position", True, "number"),
        RawField("item_id", True),
        RawField("propensity", True, "number"),
        RawField("candidates", True, "strings"),
        RawField("candidate_propensities", kind="numbers"),
        RawField("propensity_kind"),
        RawField("policy_id"),
        RawField("context", kind="text_map"),
    ),
    "feedback": (
        RawField("event_id", True),
        RawField("request_id", True),
        RawField("item_id", True),
        RawField("ts", True, "time"),
        RawField("event", True),
        RawField("value", True, "number"),
    ),
    "items": (
        RawField("item_id", True),
        RawField("category"),
        RawField("provider"),
        RawField("attributes", kind="number_map"),
        RawField("updated_at", kind="time"),
    ),
}

# Events of users that name no request. The table is optional: TABLES leaves it out.
HISTORY = "history"
RAW[HISTORY] = (
    RawField("event_id", True),
    RawField("user_id", True),
    RawField("item_id", True),
    RawField("ts", True, "time"),
    RawField("event", True),
    RawField("value", True, "number"),
)

CANDIDATE_SET_ID = "candidate_set_id"
CANDIDATE_SET = (
    RawField(CANDIDATE_SET_ID, True),
    RawField("candidates", True, "strings"),
)
