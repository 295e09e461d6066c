"""Hindcast: what a promotion was predicted to bring, against what it brought.

Pure functions over numbers that evidence keeps. A lift is a paired difference, challenger minus the
champion of the time, in units of the objective.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from mrlm.ope.checks import check_between_0_and_1
from mrlm.ope.intervals.student import ends
from mrlm.ope.nights.spending import error_at, share
from mrlm.ope.plain import plain_fields

# Nights before which no alarm is raised: with fewer a deviation between nights says nothing.
LEAST_NIGHTS = 3


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
    """

    version: int
    run_key: str
    predicted: Lift
    predicted_level: float
    realised: Lift
    realised_nights: tuple[str, ...]


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
        roll_back: whether rollback is proposed: with every alarm.
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


def judge_promotion(
    promotion: Promotion, number: int = 1, error: float = 0.05, level: float = 0.95
) -> FollowUp:
    """Whether a promotion fell short of its promise.

    A promoted version was chosen because it looked good, so what it brings is below the predicted
    value more often than not. The alarm is therefore raised against the bound that the gate
    promised, or 0 where that is below or the prediction was not certified (a person promoted it):
    where the realised lift's upper bound lies under it. By the union bound, the chance that any
    promotion that keeps its promise raises an alarm is at most ``error``, as far as the realised
    lift's standard error and degrees of freedom know of the luck
    of nights: see ``mrlm.ope.nights.realised.over_nights``.

    Args:
        promotion: with both lifts.
        number: which promotion it is, from 1; each spends its share (``error_at``).
        error: chance of any false alarm.
        level: of the two-sided interval that is told.

    Raises:
        ValueError: a level or error is not in (0, 1), or the number not 1 or more.
    """
    return _judge(promotion, error_at(number, error), level, enough=True)


def judge_over_nights(
    looks: Sequence[Promotion], number: int = 1, error: float = 0.05, level: float = 0.95
) -> FollowUp:
    """The verdict on one promotion that is looked at again whenever a night has followed.

    No alarm is raised before ``LEAST_NIGHTS`` nights. From these on look t spends ``share(t)`` of
    the promotion's own share of the error, so by the union bound the chance that any promotion that
    keeps its promise raises an alarm at any look is at most ``error``. That takes realised lifts
    whose error and degrees of freedom are those of nights, and nights whose luck is independent and
    about normal. An alarm stays: what a later look finds does not take it back.

    Args:
        looks: the promotion with the realised lift of the first night, of the first two, and so on.
        number: which promotion it is, from 1.
        error: chance of any false alarm, over all promotions and looks.
        level: of the two-sided interval that is told, that of the last look.

    Raises:
        ValueError: there is no look, or as for ``judge_promotion``.
    """
    if not looks:
        raise ValueError("a promotion is judged on at least one night that followed it")
    early = LEAST_NIGHTS - 1
    verdicts = [
        judge_promotion(p, number, error * share(t), level)
        for t, p in enumerate(looks[early:], start=1)
    ]
    if not verdicts:
        return _judge(looks[-1], error_at(number, error), level, enough=False)
    last, alarms = verdicts[-1], [v for v in verdicts if v.alarm]
    if not alarms or last.alarm:
        return last
    return replace(last, alarm=True, roll_back=True, reason=alarms[0].reason)


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
    inside = [low <= 0 <= high for low, high in (_gap(p, side) for p in kept)]
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


def _judge(p: Promotion, spent: float, level: float, *, enough: bool) -> FollowUp:
    """The verdict at one-sided error ``spent``; without an alarm where nights are too few."""
    for name, x in (("level", level), ("predicted_level", p.predicted_level)):
        check_between_0_and_1(name, x)
    promised = max(p.predicted.lower(p.predicted_level), 0.0) if p.predicted.certified else 0.0
    most = p.realised.upper(1 - spent)
    side = (1 + level) / 2
    lower, upper = p.realised.lower(side), p.realised.upper(side)
    low, high = _gap(p, side)
    alarm = enough and p.realised.certified and most < promised
    nights = ", ".join(p.realised_nights) or "no night"
    told = (
        f"version {p.version}: predicted {p.predicted.value:+.5f} (at least {promised:+.5f}), "
        f"realised {p.realised.value:+.5f} ({lower:+.5f} to {upper:+.5f}) on {nights}"
    )
    if alarm:
        told += (
            f"; its upper bound at one-sided level {spent:.3g} is {most:+.5f}: it falls short, "
            "roll back"
        )
    elif not p.realised.certified:
        told += "; the realised lift is not certified, no verdict"
    elif not enough:
        told += f"; no verdict before {LEAST_NIGHTS} nights"
    return FollowUp(
        version=p.version,
        predicted=p.predicted.value,
        predicted_lower=promised,
        realised=p.realised.value,
        realised_lower=lower,
        realised_upper=upper,
        covered=low <= 0 <= high,
        alarm=alarm,
        roll_back=alarm,
        reason=told,
    )


def _gap(p: Promotion, side: float) -> tuple[float, float]:
    """Interval of realised less predicted; degrees of freedom by Welch and Satterthwaite."""
    parts = [(x.standard_error**2, x.degrees_of_freedom) for x in (p.predicted, p.realised)]
    total = sum(v for v, _ in parts)
    if min(d for _, d in parts) <= 0:
        return -math.inf, math.inf
    below = sum(v**2 / d for v, d in parts)
    freedom = total**2 / below if below > 0 else 1e9
    return ends(p.realised.value - p.predicted.value, math.sqrt(total), freedom, 0.0, side)
