"""Which promotions are followed on which nights, and what was found, as evidence keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mrlm.evidence.estimate import PolicyEstimate
from mrlm.ope.nights.hindcast import Calibration, Verdict
from mrlm.ope.plain import finite
from mrlm.promotion.record.ledger import Entry, judged_nights
from mrlm.promotion.settings import GateSettings


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
        alarm: whether it fell short significantly; rollback is then proposed.
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

    @classmethod
    def of(
        cls,
        verdict: Verdict,
        entry: Entry,
        nights: Sequence[str],
        predicted: PolicyEstimate,
        realised: PolicyEstimate,
    ) -> PromotionHindcast:
        """The verdict on a promotion that the ledger's entry made."""
        return cls(
            version=verdict.version,
            replaced=entry.champion_version or 0,
            run_key=entry.run_key,
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
    def of(cls, found: Calibration) -> HindcastCalibration:
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


def promotions(entries: Sequence[Entry], except_run_key: str = "") -> tuple[Entry, ...]:
    """The first promotion of every run key but one, oldest first."""
    found: dict[str, Entry] = {}
    for e in entries:
        if e.kind == "promoted" and e.run_key != except_run_key:
            found.setdefault(e.run_key, e)
    return tuple(found.values())


def nights_since(
    entries: Sequence[Entry],
    run_key: str,
    final: Sequence[str],
    settings: GateSettings,
    before: Hindcast | None = None,
) -> dict[str, list[str]]:
    """The nights on which each promotion is followed, by its run key.

    A night is read only when a judgement has used it up or passed it by: gate nights are later
    than every judged night, so no judgement to come can use it, and a rollback that hindcast brings
    about cannot choose the champion of a comparison by the very nights that the comparison is made
    on. The bound on false promotions, a union over fresh nights, stays what it is. For the same
    reason tonight's own gate nights wait until tonight is judged. And a night is later than the
    promotion's own gate nights, so the promoted version was neither made nor chosen on it.

    A promotion whose gate nights are no longer in the lake is not followed any more: looks are
    counted by nights, and with the first ones gone a later one would be taken for the first.

    A night that becomes final late comes after those that were read before it, so that every look
    is that of the night before with one night more. Where the newest judged run did not follow the
    promotion, that order is not known, and nights come by date.

    Args:
        entries: of the ledger.
        run_key: tonight's run, whose own entries do not count.
        final: nights with a final north star, oldest first.
        settings: how many nights and promotions are followed.
        before: of the newest judged run, which tells the order in which nights were first read.
    """
    read = {p.run_key: p.nights for p in before.promotions} if before is not None else {}
    passed = max(judged_nights(tuple(entries), run_key), default="")
    found = {}
    for e in promotions(entries, run_key)[-settings.hindcast_promotions :]:
        own = max(e.gate_nights, default="")
        since = [n for n in final if own < n <= passed]
        first = [n for n in read.get(e.run_key, ()) if n in since]
        if own in final and since:
            late = [n for n in since if n not in first]
            found[e.run_key] = [*first, *late][: settings.hindcast_nights]
    return found
