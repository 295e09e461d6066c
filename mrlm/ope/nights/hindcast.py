"""Hindcast: what a promotion was predicted to bring, against what it brought.

Pure functions over numbers that evidence keeps. A lift is a paired difference, challenger minus the
champion of the time, in units of the objective.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np

from mrlm.messages.message import Joined, Message
from mrlm.ope.checks import check_between_0_and_1
from mrlm.ope.intervals.student import ends
from mrlm.ope.nights.group_sequential import boundaries, pocock
from mrlm.ope.plain import plain_fields

# Nights before which no alarm is raised: with fewer a deviation between nights says nothing.
LEAST_NIGHTS = 3
_NIGHTS = 365
# Share of a promotion's error that is spent by the first nights: a collapse is seen at once, what
# is smaller waits until there is something to tell it by. From then on Pocock's spending.
_EARLY = {3: 0.05, 4: 0.1}
_LEAST_RISE, _LEAST_ERROR = 1.001, 1e-12


@dataclass(frozen=True)
class Lift:
    """An estimated lift; see ``Estimate``.

    Attributes:
        value: the estimate.
        standard_error: of the value.
        degrees_of_freedom: of its t quantile.
        skewness: of the estimate.
        certified: whether its interval may be believed.
    """

    value: float
    standard_error: float
    degrees_of_freedom: float
    skewness: float = 0.0
    certified: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.standard_error >= 0):
            raise ValueError(
                f"a lift needs a value and a standard error; got {self.value} and "
                f"{self.standard_error}"
            )

    def lower(self, level: float) -> float:
        """One-sided lower bound of ``level``."""
        return self._ends(level)[0]

    def upper(self, level: float) -> float:
        """One-sided upper bound of ``level``."""
        return self._ends(level)[1]

    def _ends(self, level: float) -> tuple[float, float]:
        return ends(self.value, self.standard_error, self.degrees_of_freedom, self.skewness, level)


@dataclass(frozen=True)
class Promotion:
    """One promoted version.

    Attributes:
        version: registry version.
        run_key: of the night that promoted it.
        predicted: on the gate nights.
        predicted_level: one-sided level at which the gate tested it.
        realised: on the nights that followed its gate nights, whoever logged them: both policies
            are evaluated from the log.
        realised_nights: those nights, ISO dates; none are gate nights of the promotion.
        promise: the predicted lift with the luck of its nights in its error, by which it is judged;
            None: that is not known, and ``predicted`` is taken.
    """

    version: int
    run_key: str
    predicted: Lift
    predicted_level: float
    realised: Lift
    realised_nights: tuple[str, ...]
    promise: Lift | None = None


@dataclass(frozen=True)
class FollowUp:
    """What the following nights say of one promotion.

    Attributes:
        version: registry version.
        predicted: predicted lift.
        predicted_lower: bound that the gate promised, 0 or more.
        realised: realised lift.
        realised_lower: lower end of its two-sided interval.
        realised_upper: upper end of its two-sided interval.
        covered: whether the predicted and realised lift are equal within both errors.
        alarm: whether it fell short significantly.
        roll_back: whether rollback is proposed: with an alarm, unless the realised lift is shown to
            be above 0 all the same, for then what it replaced is worse.
        reason: in words.
    """

    version: int
    predicted: float
    predicted_lower: float
    realised: float
    realised_lower: float
    realised_upper: float
    covered: bool
    alarm: bool
    roll_back: bool
    reason: str

    def to_json(self) -> dict[str, object]:
        """The fields."""
        return asdict(self)


@dataclass(frozen=True)
class LiftCalibration:
    """Predicted against realised lift over promotions.

    Attributes:
        promotions: how many had certified numbers.
        covered: share whose two lifts are equal within both errors, to be compared with ``level``.
        level: two-sided.
        bias: mean of realised less predicted, weighted by precision.
        bias_lower: lower end of its interval.
        bias_upper: upper end of its interval.
    """

    promotions: int
    covered: float
    level: float
    bias: float
    bias_lower: float
    bias_upper: float

    def to_json(self) -> dict[str, float | int | None]:
        """The fields, with None for what is not finite."""
        return plain_fields(self)


def judge_promotion(promotion: Promotion, error: float = 0.05, level: float = 0.95) -> FollowUp:
    """Whether a promotion fell short of its promise, by one look at it.

    The alarm is raised where the realised lift lies below the predicted one by more than both
    errors allow at one-sided ``error``. What was not certified (a person promoted it) promised
    nothing: then only a loss is an alarm.

    Args:
        promotion: with both lifts.
        error: chance of a false alarm.
        level: of the two-sided interval that is told.

    Raises:
        ValueError: a level or error is not in (0, 1).
    """
    check_between_0_and_1("error", error)
    return _judge(promotion, error, level)


def judge_over_nights(
    looks: Sequence[Promotion],
    test_nights: int,
    horizon: int,
    error: float = 0.05,
    level: float = 0.95,
) -> FollowUp:
    """The verdict on one promotion that is looked at again whenever a night has followed.

    Predicted less realised lift, over its standard error, has the correlations of sums of
    independent steps from look to look, with one over its variance as information: the promise
    stays and the nights add up. So the boundaries of ``group_sequential`` hold over all looks
    together, the promise's own error included (repeated intervals, Jennison and Turnbull, JRSS B
    1989), and the gap's lower ends are a confidence sequence. No alarm is raised before
    ``LEAST_NIGHTS`` nights. An alarm stays: what a later look finds does not take it back.

    A promise is taken on the night on which it looked best, so its error is one of the test that
    made it: every night of a test brings 1 / 365 of ``error``. Were all looks of a test one, the
    chance of any false alarm in 365 nights would be at most that; ``benchmarks promotion.watch``
    measures it.

    Args:
        looks: the promotion with the realised lift of the first night, of the first two, and so on.
        test_nights: nights that the promise rests on, 1 or more.
        horizon: most nights that are followed.
        error: chance of any false alarm in 365 nights.
        level: of the two-sided interval that is told, that of the last look.

    Raises:
        ValueError: there is no look or more than the horizon, or as for ``judge_promotion``.
    """
    if not looks or len(looks) > horizon or test_nights < 1:
        raise ValueError(
            f"a promotion is judged on at least one night that followed it and at most {horizon}, "
            f"and its promise rests on at least one; got {len(looks)} and {test_nights}"
        )
    check_between_0_and_1("error", error)
    later = looks[LEAST_NIGHTS - 1 :]
    if not later:
        return _judge(looks[-1], 0.0, level)
    nights = range(LEAST_NIGHTS, len(looks) + 1)
    whole = error * test_nights / _NIGHTS
    spent = [
        min(pocock(night / horizon, whole), _EARLY.get(night, 1.0) * whole) for night in nights
    ]
    # No look has more error than is spent by then, and boundaries take long.
    if not any(_judge(p, most, level).alarm for p, most in zip(later, spent, strict=True)):
        return _judge(looks[-1], spent[-1], level)
    errors = _errors_of_looks(_information(later), tuple(spent))
    verdicts = [_judge(p, at, level) for p, at in zip(later, errors, strict=True)]
    last, alarms = verdicts[-1], [v for v in verdicts if v.alarm]
    if not alarms or last.alarm:
        return last
    return replace(last, alarm=True, roll_back=not last.realised_lower > 0, reason=alarms[0].reason)


def _information(looks: Sequence[Promotion]) -> tuple[float, ...]:
    """One over the gap's variance at each look, the last one's 1: boundaries need no unit."""
    found: list[float] = []
    for p in looks:
        variance = _promise(p).standard_error ** 2 + p.realised.standard_error**2
        # It rises but for the luck of an estimated variance.
        least = found[-1] * _LEAST_RISE if found else 0.0
        found.append(max(1 / max(variance, 1e-300), least))
    return tuple(x / found[-1] for x in found)


@lru_cache(maxsize=64)
def _errors_of_looks(information: tuple[float, ...], spent: tuple[float, ...]) -> list[float]:
    """One-sided error of every look by itself, where all looks so far spend so much."""
    from scipy.special import ndtr

    return [max(float(p), _LEAST_ERROR) for p in ndtr(-boundaries(information, spent))]


def calibration(promotions: Sequence[Promotion], level: float = 0.95) -> LiftCalibration:
    """How far realised lifts are from predicted ones, over all certified promotions.

    The gaps are pooled with weights of their precision, plus the variance between promotions by the
    method of moments (DerSimonian and Laird, 1986); the interval is Student's t with one degree of
    freedom less than promotions (Hartung and Knapp, 2001). Selection alone makes the bias negative:
    a gate that promotes what it sees at its best is right about its bounds, not about its means.

    Raises:
        ValueError: the level is not in (0, 1).
    """
    check_between_0_and_1("level", level)
    kept = [p for p in promotions if p.predicted.certified and p.realised.certified]
    nothing = math.nan
    if not kept:
        return LiftCalibration(0, nothing, level, nothing, nothing, nothing)
    side = (1 + level) / 2
    gaps = [_gap(p.predicted, p.realised, side) for p in kept]
    inside = [low <= 0 <= high for low, high in gaps]
    gap = np.array([p.realised.value - p.predicted.value for p in kept])
    variance = np.array(
        [p.realised.standard_error**2 + p.predicted.standard_error**2 for p in kept]
    )
    if len(kept) < 2 or (variance == 0).any():
        return LiftCalibration(
            len(kept), float(np.mean(inside)), level, float(gap.mean()), nothing, nothing
        )
    weight = 1 / variance
    centre = weight @ gap / weight.sum()
    excess = float(weight @ (gap - centre) ** 2) - (len(kept) - 1)
    between = max(excess / (weight.sum() - weight @ weight / weight.sum()), 0.0)
    weight = 1 / (variance + between)
    bias = float(weight @ gap / weight.sum())
    # Hartung and Knapp's scale, which may not shrink the interval.
    scale = max(float(weight @ (gap - bias) ** 2) / (len(kept) - 1), 1.0)
    error = math.sqrt(scale / weight.sum())
    lower, upper = ends(bias, error, len(kept) - 1, 0.0, side)
    return LiftCalibration(len(kept), float(np.mean(inside)), level, bias, lower, upper)


def _judge(p: Promotion, error: float, level: float) -> FollowUp:
    """The verdict at one-sided ``error``; 0: nights are too few for any."""
    for name, x in (("level", level), ("predicted_level", p.predicted_level)):
        check_between_0_and_1(name, x)
    promised = max(p.predicted.lower(p.predicted_level), 0.0) if p.predicted.certified else 0.0
    side = (1 + level) / 2
    lower, upper = p.realised.lower(side), p.realised.upper(side)
    low, high = _gap(p.predicted, p.realised, side)
    least = -_gap(_promise(p), p.realised, 1 - error)[1] if error else 0.0
    alarm = p.realised.certified and least > 0
    better = lower > 0
    told = Message(
        "version {version}: predicted {predicted:+.5f} (at least {promised:+.5f}), realised "
        "{realised:+.5f} ({lower:+.5f} to {upper:+.5f}) on {nights}",
        version=p.version,
        predicted=p.predicted.value,
        promised=promised,
        realised=p.realised.value,
        lower=lower,
        upper=upper,
        nights=Joined(", ", p.realised_nights) or Message("no night"),
    )
    if alarm:
        told = _alarm(told, error, least, p.predicted.certified, better)
    elif not p.realised.certified:
        told = Message("{told}; the realised lift is not certified, no verdict", told=told)
    elif not error:
        told = Message(
            "{told}; no verdict before {least_nights} nights", told=told, least_nights=LEAST_NIGHTS
        )
    return FollowUp(
        version=p.version,
        predicted=p.predicted.value,
        predicted_lower=promised,
        realised=p.realised.value,
        realised_lower=lower,
        realised_upper=upper,
        covered=low <= 0 <= high,
        alarm=alarm,
        roll_back=alarm and not better,
        reason=told,
    )


def _alarm(told: Message, error: float, least: float, certified: bool, better: bool) -> Message:
    found = Message(
        "{told}; at one-sided level {level:.3g} it falls short of {promise} by {least:.5f} at "
        "least",
        told=told,
        level=error,
        promise=Message("its promise")
        if certified
        else Message("0, for it was promoted uncertified,"),
        least=least,
    )
    if better:
        return Message("{alarm}, and is better than what it replaced all the same", alarm=found)
    return Message("{alarm}: roll back", alarm=found)


def _promise(p: Promotion) -> Lift:
    """What the realised lift is held against."""
    if not p.predicted.certified:
        return Lift(0.0, 0.0, math.inf)
    return p.predicted if p.promise is None else p.promise


def _gap(predicted: Lift, realised: Lift, side: float) -> tuple[float, float]:
    """Interval of realised less predicted; degrees of freedom by Welch and Satterthwaite."""
    parts = [(x.standard_error**2, x.degrees_of_freedom) for x in (predicted, realised)]
    total = sum(v for v, _ in parts)
    if min(d for _, d in parts) <= 0:
        return -math.inf, math.inf
    below = sum(v**2 / d for v, d in parts)
    freedom = total**2 / below if below > 0 else 1e9
    return ends(realised.value - predicted.value, math.sqrt(total), freedom, 0.0, side)
