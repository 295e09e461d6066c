"""What the promotion rule says of one evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mrlm.promotion.judgement.condition import Check


@dataclass(frozen=True)
class Verdict:
    """What the rule says of one evidence.

    Attributes:
        promote: whether every check passed.
        reason: in words; of a refusal, the checks that failed.
        checks: in the order in which they were made.
        look: which look of its test this is, from 1.
        level: one-sided level at which the north star was tested.
        anchored: ``within`` or ``below`` the anchored limits; "" where they were not asked.
        goes_on: refused for now: the next night looks at the same challenger again.
    """

    promote: bool
    reason: str
    checks: tuple[Check, ...] = ()
    look: int = 1
    level: float = 0.0
    anchored: str = ""
    goes_on: bool = False

    def objections(self) -> list[str]:
        """What speaks against a promotion, a sentence each: failed checks, and what else is told.

        Empty where the gate would promote.
        """
        if self.promote:
            return []
        failed = [c.text for c in self.checks if not c.passed]
        rest = self.reason.removeprefix("; ".join(failed)).removeprefix("; ")
        return [*failed, rest] if rest else failed

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for ``json.dumps``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what ``to_json`` wrote."""
        return cls(**{**data, "checks": tuple(Check(**c) for c in data.get("checks", ()))})
