"""What became of earlier promotions, as evidence keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.nights.hindcast import FollowUp, LiftCalibration
from mrlm.ope.plain import finite


@dataclass(frozen=True)
class PromotionHindcast:
    """One promotion: what its gate nights predicted, and what the nights since brought.

    Attributes:
        version: registry version that was promoted.
        replaced: the champion that it replaced.
        run_key: of the night that promoted it.
        nights: ISO dates of the nights since that were read, in the order of the looks.
        predicted: lift in the north star, on the gate nights of the promotion.
        promised: the lower bound that the gate promised, 0 or more.
        realised: the same lift on ``nights``.
        covered: whether the two are equal within both errors.
        alarm: whether it fell short significantly.
        reason: in words.
    """

    version: int
    replaced: int
    run_key: str
    nights: tuple[str, ...]
    predicted: PolicyEstimate
    promised: float
    realised: PolicyEstimate
    covered: bool
    alarm: bool
    reason: str

    @property
    def still_better(self) -> bool:
        """Whether it is shown to be better than what it replaced, however much was promised."""
        return (
            self.realised.certified and self.realised.lower is not None and self.realised.lower > 0
        )

    @classmethod
    def of(
        cls,
        verdict: FollowUp,
        replaced: int,
        run_key: str,
        nights: Sequence[str],
        predicted: PolicyEstimate,
        realised: PolicyEstimate,
    ) -> PromotionHindcast:
        """The verdict on a promotion that the run made in place of the champion ``replaced``."""
        return cls(
            version=verdict.version,
            replaced=replaced,
            run_key=run_key,
            nights=tuple(nights),
            predicted=predicted,
            promised=verdict.predicted_lower,
            realised=realised,
            covered=verdict.covered,
            alarm=verdict.alarm,
            reason=verdict.reason,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PromotionHindcast:
        """Read what ``dataclasses.asdict`` wrote."""
        return cls(
            **{
                **data,
                "nights": tuple(data["nights"]),
                "predicted": PolicyEstimate.from_json(data["predicted"]),
                "realised": PolicyEstimate.from_json(data["realised"]),
            }
        )


@dataclass(frozen=True)
class HindcastCalibration:
    """Predicted against realised lift over promotions, as ``mrlm.ope.nights.hindcast`` finds it."""

    promotions: int
    covered: float | None
    level: float
    bias: float | None
    bias_lower: float | None
    bias_upper: float | None

    @classmethod
    def of(cls, found: LiftCalibration) -> HindcastCalibration:
        """The same with None for what is not finite."""
        return cls(
            promotions=found.promotions,
            covered=finite(found.covered),
            level=found.level,
            bias=finite(found.bias),
            bias_lower=finite(found.bias_lower),
            bias_upper=finite(found.bias_upper),
        )


@dataclass(frozen=True)
class Hindcast:
    """The promotions so far, and what became of them.

    Attributes:
        promotions: those with a night since, oldest first.
        calibration: over them.
        left_out: promotions that could not be followed, and why.
    """

    promotions: tuple[PromotionHindcast, ...] = ()
    calibration: HindcastCalibration | None = None
    left_out: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[PromotionHindcast, ...]:
        """Promotions that fell short."""
        return tuple(p for p in self.promotions if p.alarm)

    def alarm_of(self, version: int | None) -> PromotionHindcast | None:
        """The alarm of a version, or None where it raised none."""
        return next((p for p in self.alarms if p.version == version), None)

    def to_leave(self, version: int | None) -> PromotionHindcast | None:
        """The alarm of a version that is not shown to be better than what it replaced, or None."""
        alarm = self.alarm_of(version)
        return None if alarm is None or alarm.still_better else alarm

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Hindcast:
        """Read what ``dataclasses.asdict`` wrote."""
        calibration = data.get("calibration")
        return cls(
            promotions=tuple(PromotionHindcast.from_json(p) for p in data.get("promotions", ())),
            calibration=HindcastCalibration(**calibration) if calibration else None,
            left_out=tuple(data.get("left_out", ())),
        )


def carry_alarm(found: Hindcast | None, before: Hindcast | None, champion: int) -> Hindcast | None:
    """Tonight's hindcast with the champion's alarm of an earlier night, which stays.

    It stays whatever tonight finds, or cannot follow any more, for as long as the version is
    champion. The numbers are tonight's where there are any, the reason that of the alarm.

    Args:
        found: of tonight; None: nothing is followed.
        before: of the newest judged run, which has carried over those before it.
        champion: version that tonight's challenger is compared with.
    """
    alarm = before.alarm_of(champion) if before is not None else None
    if alarm is None:
        return found
    tonight = found if found is not None else Hindcast()
    if not any(p.run_key == alarm.run_key for p in tonight.promotions):
        return replace(tonight, promotions=(alarm, *tonight.promotions))
    return replace(
        tonight,
        promotions=tuple(
            replace(p, alarm=True, reason=alarm.reason)
            if p.run_key == alarm.run_key and not p.alarm
            else p
            for p in tonight.promotions
        ),
    )


def without_alarms(found: Hindcast) -> Hindcast:
    """The same where nobody watches: what promotions brought, and no alarm."""
    return replace(found, promotions=tuple(replace(p, alarm=False) for p in found.promotions))
