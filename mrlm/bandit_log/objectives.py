"""What is to be optimised: objectives, as settings declare them."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

# What items of a list are alike by, beside their categories.
EMBEDDING = "embedding"


@dataclass(frozen=True)
class Objective:
    """One component of the reward vector.

    A ``feedback`` objective is computed from the events of a shown slot and is unknown for items
    that were not shown. An ``item`` objective is a function of an attribute of the item, and a
    ``list`` objective a function of the item and of the items shown above it; both are known
    exactly for every candidate.

    Attributes:
        name: short identifier; the column ``reward_<name>`` of the bandit log.
        source: where the value comes from.
        role: ``north_star`` is what the company wants; a ``guardrail`` must not fall by more than
            ``margin``; a ``component`` is neither.
        unit: unit of the value, for people.
        event: feedback only: the event's name.
        transform: feedback only: ``value`` takes the last event's value, ``at_least`` is 1 when it
            reaches ``threshold`` and else 0, ``any`` is 1 when there was such an event, ``none`` is
            0 then: for what should be rare, since every objective is better the larger it is.
        threshold: for ``at_least``.
        missing: feedback only: value of a slot with no event once its window has closed (0 for a
            click, 1 with ``none``); None leaves it unknown, and the row is not used for this
            objective.
        window_nights: feedback only: how many nights after the slot's own night an event may still
            arrive. The value is final once that many nights have been ingested.
        attribute: of an item the numeric attribute; of a list what items are alike by: empty for
            their categories, ``embedding`` for the vectors of their texts.
        low: attribute value that gives 0.
        high: attribute value that gives 1; may be below ``low``.
        log: whether the attribute is taken on a logarithmic scale, as log(1 + x).
        margin: guardrail only: the largest fall that is accepted, in units of the objective.
        discount: feedback only, in [0, 1): above 0 the objective is a return. A decision then has
            its own reward, and with each later request of its session in its night, the rewards of
            all slots of it, times one more factor of this (``mrlm.bandit_log.sessions.returns``).

    Raises:
        ValueError: the fields do not fit the source or the role.

    Examples:
        >>> from mrlm import Objective
        >>> click = Objective(
        ...     name="click", source="feedback", role="north_star", event="click",
        ...     transform="any", missing=0.0, window_nights=1,
        ... )
        >>> Objective(name="year", source="item")
        Traceback (most recent call last):
        ...
        ValueError: objective year: source item needs attribute, low and high
    """

    # Settings files are read into this class; an unknown field there is an error.
    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    name: str
    source: Literal["feedback", "item", "list"]
    role: Literal["north_star", "guardrail", "component"] = "component"
    unit: str = ""
    event: str = ""
    transform: Literal["value", "at_least", "any", "none"] = "value"
    threshold: float = 0.0
    missing: float | None = None
    window_nights: int = 0
    attribute: str = ""
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    margin: float = 0.0
    discount: float = 0.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", self.name):
            raise ValueError(
                f"objective {self.name[:64]!r}: use lower case letters, digits and _, at most 64"
            )
        for field in ("threshold", "missing", "low", "high", "margin", "discount"):
            value = getattr(self, field)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"objective {self.name}: {field} is {value}, not a finite number")
        if self.source == "feedback" and not self.event:
            raise ValueError(f"objective {self.name}: source feedback needs an event")
        if self.source == "feedback" and self.transform == "any" and self.missing is None:
            raise ValueError(
                f"objective {self.name}: transform any needs missing = 0.0, the value of a slot "
                "without the event; without it only slots with the event would count"
            )
        if self.source == "feedback" and self.transform == "none" and self.missing != 1:
            raise ValueError(
                f"objective {self.name}: transform none needs missing = 1.0, the value of a slot "
                "without the event; one with it has 0"
            )
        if self.source == "item" and (not self.attribute or self.low == self.high):
            raise ValueError(f"objective {self.name}: source item needs attribute, low and high")
        if self.source == "list" and self.attribute not in ("", EMBEDDING):
            raise ValueError(
                f"objective {self.name}: attribute of a list is {EMBEDDING!r}, or left out for "
                f"categories, not {self.attribute!r}"
            )
        if self.role == "north_star" and self.source != "feedback":
            raise ValueError(f"objective {self.name}: the north star must come from feedback")
        if self.window_nights < 0 or self.margin < 0:
            raise ValueError(f"objective {self.name}: window_nights and margin are 0 or more")
        self._require_summable()

    def _require_summable(self) -> None:
        """Refuse a discount that is none, or one of rewards that cannot be added up.

        Raises:
            ValueError: naming the objective.
        """
        if not 0 <= self.discount < 1:
            raise ValueError(
                f"objective {self.name}: the discount must be in [0, 1); got {self.discount}"
            )
        if self.is_return and self.source != "feedback":
            raise ValueError(f"objective {self.name}: only source feedback can have a discount")
        if self.is_return and self.missing is None:
            raise ValueError(
                f"objective {self.name}: a discount needs missing, such as 0.0, the value of a "
                "slot without the event; without it only sessions with one on every slot count"
            )

    @property
    def usual(self) -> float:
        """The reward of a slot on which nothing happened: others tell, however many have it."""
        return 1.0 if self.transform == "none" else 0.0

    @property
    def is_return(self) -> bool:
        """Whether it counts what follows in the session too."""
        return self.discount > 0

    def to_json(self) -> dict[str, Any]:
        """The fields; without a discount as they were before there were any."""
        fields = asdict(self)
        if not self.is_return:
            del fields["discount"]
        return fields


def north_star(objectives: tuple[Objective, ...]) -> Objective:
    """The one objective with the role ``north_star``.

    Raises:
        ValueError: there is none, or more than one.
    """
    found = [o for o in objectives if o.role == "north_star"]
    if len(found) != 1:
        raise ValueError(
            f"settings must declare exactly one objective with role north_star; found {len(found)}"
        )
    return found[0]
