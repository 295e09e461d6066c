"""What the evidence says of nights to come: the next night's difference, and power."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from mrlm.ope.nights.tomorrow import Prediction

if TYPE_CHECKING:
    from mrlm.evidence.criteria import Criteria
    from mrlm.evidence.night_lift import NightLift

# Chance with which a gain is to be seen, as is usual.
_CHANCE = 0.8


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
        rows: decisions; None where there is no standard error, or where rewards that are unknown
            could hide all of it however many decisions there are.
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


def outlook_of(
    gate: Mapping[str, NightLift],
    predicted: NextNight | None,
    champion_value: float | None,
    criteria: Criteria,
    *,
    gains: Sequence[float],
    error: float,
) -> Outlook | None:
    """What the evidence says beyond its gate nights, of the north star's difference.

    Args:
        gate: gate night to the lift over the champion on it; all carry the flag of estimated
            propensities, or none does.
        predicted: of the next night, see ``predicted_difference``.
        champion_value: in the north star, on the gate nights; None: unknown.
        criteria: of the estimates.
        gains: as shares of the champion's value, whose needed rows are told.
        error: one-sided level of the gate's test, in (0, 1).

    Returns:
        None without a gate night.

    Raises:
        ValueError: states of different estimates, or an error or level that is not in (0, 1).
    """
    from mrlm.ope.nights.tomorrow import two_way_variance
    from mrlm.ope.plain import finite

    if not gate:
        return None
    known = {night: found.state for night, found in gate.items()}
    star = next(iter(known.values())).objectives.index(criteria.north_star)
    return Outlook(
        # Not finite, and so None, below two nights.
        two_way_standard_error=finite(float(two_way_variance(known)[star]) ** 0.5),
        next_night=predicted,
        power=_power(gate, champion_value, criteria, gains, error),
        error=error,
        chance=_CHANCE,
    )


def predicted_difference(
    nights: Mapping[str, NightLift], judged: int, criteria: Criteria
) -> NextNight | None:
    """The north star's difference on the next night; None where it is not finite.

    The expected value rests on the gate nights alone. The challenger was chosen on the nights
    before them, so these only tell how far the differences of nights spread, about their own mean.
    Where rewards of the gate nights are unknown, the interval reaches from where they make the
    difference smallest to where they make it largest.

    Args:
        nights: night to the lift over the champion on it, oldest first, the gate nights last.
        judged: how many of them are gate nights.
        criteria: of the estimates.

    Raises:
        ValueError: too few nights, or states of different estimates.
    """
    from mrlm.ope.nights.tomorrow import next_night

    gate = list(nights)[-judged:]

    def seen(which: int) -> NextNight | None:
        states = {n: f.seen()[which if n in gate else 0] for n, f in nights.items()}
        return NextNight.of(next_night(states, criteria.level, recent=judged)[criteria.north_star])

    plain = seen(0)
    if plain is None or not any(nights[n].ends for n in gate):
        return plain
    low, high = seen(1), seen(2)
    if low is None or high is None:
        return None
    return replace(plain, lower=min(plain.lower, low.lower), upper=max(plain.upper, high.upper))


def _power(
    gate: Mapping[str, NightLift],
    champion_value: float | None,
    criteria: Criteria,
    gains: Sequence[float],
    error: float,
) -> tuple[Power, ...]:
    """What each gain needs; unknown rewards take away from it whatever they could."""
    from mrlm.ope.intervals import estimates
    from mrlm.ope.nights.power import rows_for_gain

    if not champion_value or champion_value <= 0:
        return ()
    paired, worst = (
        estimates(
            reduce(lambda a, b: a.merge(b), (found.seen()[which] for found in gate.values())),
            criteria.level,
            criteria.thresholds,
        )[criteria.north_star]
        for which in (0, 1)
    )
    taken = max(0.0, paired.value - worst.value)
    if not paired.standard_error > 0:
        # The challenger is the champion: no number of rows would tell them apart.
        return ()

    def rows(gain: float) -> int | None:
        left = gain - taken
        return rows_for_gain(paired, left, error, _CHANCE) if left > 0 or not taken else None

    return tuple(
        Power(share, share * champion_value, rows(share * champion_value)) for share in gains
    )
