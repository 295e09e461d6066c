"""What the evidence says of nights to come: the next night's difference, and power."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mrlm.ope.nights.tomorrow import Prediction


@dataclass(frozen=True)
class NextNight:
    """The north star's difference, challenger - champion, on the next night.

    Attributes:
        value: expected.
        lower: lower end of the prediction interval for its true value.
        upper: upper end.
        level: two-sided level.
        night_deviation: standard deviation between the true differences of nights.
        standard_error: of ``value``, with the luck of nights.
        degrees_of_freedom: of the interval's t quantile.
        nights: nights that the deviation rests on; the value rests on the gate nights.
    """

    value: float
    lower: float
    upper: float
    level: float
    night_deviation: float
    standard_error: float
    degrees_of_freedom: float
    nights: int

    @classmethod
    def of(cls, found: Prediction) -> NextNight | None:
        """The numbers of a prediction; None where one is not finite, which JSON has not."""
        numbers = asdict(found)
        del numbers["objective"]
        if not all(math.isfinite(x) for x in numbers.values()):
            return None
        return cls(**numbers)


@dataclass(frozen=True)
class Power:
    """Decisions at which a true gain in the north star would pass the gate.

    Attributes:
        share: the gain as a share of the champion's value.
        gain: the gain, in the objective's unit.
        rows: decisions; None where there is no standard error.
    """

    share: float
    gain: float
    rows: int | None


@dataclass(frozen=True)
class Outlook:
    """The north star's difference beyond its gate nights.

    Attributes:
        two_way_standard_error: of the difference on the gate nights, clustered by user and by
            night; None below two gate nights.
        next_night: None where the nights are too few.
        power: rows for each gain of ``gate.power_gains``.
        error: one-sided level of the gate's test, which ``power`` takes.
        chance: probability with which a gain of that size is to be seen.
    """

    two_way_standard_error: float | None = None
    next_night: NextNight | None = None
    power: tuple[Power, ...] = ()
    error: float = 0.05
    chance: float = 0.8

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outlook:
        """Read what ``dataclasses.asdict`` wrote."""
        night = data.get("next_night")
        return cls(
            **{
                **data,
                "next_night": NextNight(**night) if night else None,
                "power": tuple(Power(**p) for p in data.get("power", ())),
            }
        )
