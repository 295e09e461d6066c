from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest

from mrlm.evidence.canonical import fingerprint_of
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.hindcast import Hindcast, HindcastCalibration, PromotionHindcast, carry_alarm
from mrlm.evidence.outlook import NextNight, Outlook, Power
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.promotion.judgement.gate import error_tested_at, judge
from mrlm.promotion.record.followed_nights import nights_since, promotions
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.settings import GateSettings

Make = Callable[..., Evidence]
RULE = GateSettings()
NIGHTS = [f"2026-11-{d:02d}" for d in range(10, 24)]


def entry(kind: str, run_key: str, version: int, gate: list[str], champion: int = 1) -> Entry:
    return Entry(
        kind=kind,  # type: ignore[arg-type]
        run_key=run_key,
        version=version,
        actor="test",
        at="2026-11-20",
        reason="",
        champion_version=champion,
        gate_nights=tuple(gate),
    )


LEDGER = (
    entry("initial", "first", 1, []),
    entry("judged", "a", 2, NIGHTS[2:4]),
    entry("promoted", "a", 2, NIGHTS[2:4]),
    entry("judged", "b", 3, NIGHTS[5:7]),
    entry("judged", "c", 4, NIGHTS[7:8], champion=2),
    entry("promoted", "c", 4, NIGHTS[7:8], champion=2),
    entry("judged", "d", 5, NIGHTS[8:10], champion=4),
)


def test_only_nights_that_no_judgement_to_come_can_use_are_read() -> None:
    """Later than the promotion's own gate nights, and not later than the last judged night."""
    found = nights_since(LEDGER, "tonight", NIGHTS, RULE)
    assert found == {"a": NIGHTS[4:10], "c": NIGHTS[8:10]}


def test_tonights_own_judgement_and_promotion_do_not_count() -> None:
    """Run again after it was judged, a run reads what it read before."""
    after = (
        *LEDGER,
        entry("judged", "tonight", 6, NIGHTS[10:12]),
        entry("promoted", "tonight", 6, NIGHTS[10:12]),
    )
    assert nights_since(after, "tonight", NIGHTS, RULE) == nights_since(
        LEDGER, "tonight", NIGHTS, RULE
    )
    assert "tonight" in nights_since(
        (*after, entry("judged", "e", 7, NIGHTS[12:13])), "other", NIGHTS, RULE
    )


def test_a_promotion_without_a_night_since_is_not_followed() -> None:
    assert nights_since(LEDGER[:3], "tonight", NIGHTS, RULE) == {}
    assert nights_since((), "tonight", NIGHTS, RULE) == {}


def test_a_promotion_whose_nights_are_gone_is_not_followed_any_more() -> None:
    """Else its fifth night would be looked at as if it were its first."""
    assert nights_since(LEDGER, "tonight", NIGHTS[6:], RULE) == {"c": NIGHTS[8:10]}
    by_hand = (*LEDGER, entry("promoted", "by hand", 9, []))
    assert "by hand" not in nights_since(by_hand, "tonight", NIGHTS, RULE)


def test_as_many_nights_and_promotions_as_the_settings_say() -> None:
    few = GateSettings(hindcast_nights=2, hindcast_promotions=1)
    assert nights_since(LEDGER, "tonight", NIGHTS, few) == {"c": NIGHTS[8:10]}
    few = GateSettings(hindcast_nights=2)
    assert nights_since(LEDGER, "tonight", NIGHTS, few)["a"] == NIGHTS[4:6]


def test_a_run_key_is_one_promotion_and_spends_what_it_was_judged_at() -> None:
    placed, last = [], None
    for e in (*LEDGER, entry("promoted", "a", 2, NIGHTS[2:4])):
        last = e.chained(last)
        placed.append(last)
    assert [e.run_key for e in promotions(placed)] == ["a", "c"]
    errors = [error_tested_at(tuple(placed), k, RULE) for k in "abcd"]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 4


def _found(version: int, *, alarm: bool) -> Hindcast:
    number = PolicyEstimate(0.1, 0.01, 200.0, 0.08, 0.12, certified=True)
    one = PromotionHindcast(
        version=version,
        replaced=1,
        run_key="a",
        nights=("2026-11-18",),
        predicted=number,
        promised=0.07,
        realised=replace(number, value=-0.1, lower=-0.12, upper=-0.08) if alarm else number,
        covered=not alarm,
        alarm=alarm,
        reason=f"version {version}: it falls short, roll back" if alarm else "kept",
    )
    return Hindcast((one,), HindcastCalibration(1, 1.0, 0.95, 0.0, None, None), ("v9: gone",))


def test_nobody_is_promoted_while_the_champions_alarm_is_open(evidence: Make) -> None:
    found = replace(evidence(champion_version=2), hindcast=_found(2, alarm=True))
    verdict = judge(found, RULE, looks=1)
    assert not verdict.promote
    assert [c.name for c in verdict.checks if not c.passed] == ["hindcast"]
    assert "mrlm rollback" in verdict.reason
    assert "falls short" in verdict.reason


@pytest.mark.parametrize("hindcast", [None, Hindcast(), _found(2, alarm=False)])
def test_without_an_alarm_the_rule_is_as_before(evidence: Make, hindcast: Hindcast | None) -> None:
    assert judge(replace(evidence(champion_version=2), hindcast=hindcast), RULE, 1).promote


def test_an_alarm_of_another_version_stops_nobody(evidence: Make) -> None:
    """After a rollback the alarm is not the champion's any more."""
    found = replace(evidence(champion_version=1), hindcast=_found(2, alarm=True))
    assert judge(found, RULE, looks=1).promote


def test_evidence_keeps_what_it_says_of_other_nights(evidence: Make) -> None:
    outlook = Outlook(
        0.02, NextNight(0.1, -0.1, 0.3, 0.95, 0.05, 0.04, 5.0, 8), (Power(0.05, 0.01, 900),)
    )
    found = replace(evidence(), hindcast=_found(2, alarm=True), outlook=outlook)
    again = Evidence.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert again.fingerprint() == found.fingerprint()


def test_evidence_of_before_there_was_hindcast_keeps_its_fingerprint(evidence: Make) -> None:
    """The ledger names evidence by its fingerprint: fields that came later may not change it."""
    old = asdict(evidence())
    for name in ("hindcast", "outlook", "support", "propensities", "logger_differences"):
        del old[name]
    assert Evidence.from_json(old).fingerprint() == fingerprint_of(old)


def test_a_prediction_that_is_not_finite_is_none(evidence: Make) -> None:
    """NaN has no place in JSON: the evidence could not be fingerprinted, nor judged."""
    from mrlm.ope.nights.tomorrow import Prediction

    found = Prediction("delight", 0.1, -0.1, 0.3, 0.95, 0.05, 0.04, 5.0, 8)
    known = NextNight.of(found)
    assert known == NextNight(0.1, -0.1, 0.3, 0.95, 0.05, 0.04, 5.0, 8)
    assert NextNight.of(replace(found, value=float("nan"))) is None
    assert NextNight.of(replace(found, upper=float("inf"))) is None
    replace(evidence(), outlook=Outlook(next_night=known)).fingerprint()


def test_the_champions_alarm_stays_whatever_tonight_finds() -> None:
    before = _found(2, alarm=True)
    kept = carry_alarm(_found(2, alarm=False), before, champion=2)
    assert kept is not None
    (one,) = kept.promotions
    assert one.alarm
    assert one.reason == before.promotions[0].reason
    assert one.realised == _found(2, alarm=False).promotions[0].realised
    assert kept.left_out == ("v9: gone",)
    assert carry_alarm(None, before, champion=2) == Hindcast(before.promotions)
    assert carry_alarm(Hindcast(), kept, champion=2) == Hindcast(kept.promotions)


def test_only_an_alarm_of_the_champion_is_carried_over() -> None:
    tonight = _found(2, alarm=False)
    assert carry_alarm(tonight, _found(2, alarm=True), champion=1) == tonight
    assert carry_alarm(tonight, _found(2, alarm=False), champion=2) == tonight
    assert carry_alarm(tonight, None, champion=2) == tonight
    assert carry_alarm(None, None, champion=2) is None


def test_a_night_that_is_final_late_comes_after_those_that_were_read() -> None:
    """Else the looks of the nights before it would be other looks."""
    early = [n for n in NIGHTS if n != NIGHTS[5]]
    first = nights_since(LEDGER, "tonight", early, RULE)["a"]
    assert NIGHTS[5] not in first
    one = replace(_found(2, alarm=False).promotions[0], nights=tuple(first))
    late = nights_since(LEDGER, "tonight", NIGHTS, RULE, Hindcast((one,)))["a"]
    assert late == [*first, NIGHTS[5]]
    few = GateSettings(hindcast_nights=len(first))
    assert nights_since(LEDGER, "tonight", NIGHTS, few, Hindcast((one,)))["a"] == first
