"""A champion that falls short of its promise: told once, left by hand or by the setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mrlm.evidence.evidence import Evidence
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.moves.leave_shortfall import leave_shortfall
from mrlm.promotion.moves.promote import promote
from mrlm.promotion.moves.rollback import rollback
from mrlm.promotion.moves.verify import verify
from mrlm.promotion.record.ledger import Entry, champion_stack
from mrlm.promotion.record.shortfall import open_shortfall, record_shortfall, rollback_command
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.settings import GateSettings
from pipelines.care.gate_standing import watch_lines
from tests.evidence.found import hindcast_of

AT = "2026-11-20T02:00:00+00:00"
NIGHT, NEXT = "2026-11-20/abc", "2026-11-21/abc"
ENFORCED = GateSettings(watch="enforce")
Make = Callable[..., Evidence]


@pytest.fixture
def short(place: RegistryPlace, judged: None, evidence: Make) -> Evidence:
    """Version 2 is champion, and the next night finds that it falls short."""
    assert promote(place, NIGHT, GateSettings(), actor="rule", at=AT).champion == 2
    return replace(evidence(NEXT, champion_version=2), hindcast=hindcast_of(2, alarm=True))


def record(place: RegistryPlace, evidence: Evidence) -> Entry | None:
    with place.locked("rule", 5.0):
        return record_shortfall(place.ledger, evidence, actor="rule", at=AT)


def test_it_is_told_once_and_the_command_goes_back(place: RegistryPlace, short: Evidence) -> None:
    assert watch_lines(place) == []
    first = record(place, short)
    assert first is not None
    assert (first.kind, first.version, first.run_key) == ("fell_short", 2, NEXT)
    assert record(place, replace(short, run_key="2026-11-22/abc")) == first
    (line,) = watch_lines(place)
    assert rollback_command(2) in line
    assert "falls short" in line
    assert verify(place) == ()
    rollback(place, GateSettings(), actor="ada", at=AT, reason="it does", leaving=2)
    assert watch_lines(place) == []
    assert record(place, short) is None, "version 2 is champion no more"


def test_a_champion_that_keeps_its_promise_has_no_entry(
    place: RegistryPlace, short: Evidence
) -> None:
    kept = replace(short, hindcast=hindcast_of(2, alarm=False))
    other = replace(short, hindcast=hindcast_of(1, alarm=True))
    for found in (kept, other, replace(short, hindcast=None)):
        assert record(place, found) is None


def test_enforced_it_is_rolled_back_once(place: RegistryPlace, short: Evidence) -> None:
    assert leave_shortfall(place, ENFORCED, NEXT, actor="rule", at=AT) is None
    record(place, short)
    assert leave_shortfall(place, GateSettings(), NEXT, actor="rule", at=AT) is None
    assert champion_stack(place.ledger.entries())[-1] == 2, "advice moves nothing"
    for _ in range(2):
        left = leave_shortfall(place, ENFORCED, NEXT, actor="rule", at=AT)
        assert left is not None
        assert left.champion == 1
    entries = place.ledger.entries()
    assert [e.kind for e in entries][-2:] == ["fell_short", "rolled_back"]
    assert "gate.watch = enforce" in entries[-1].reason
    assert open_shortfall(entries) is None
    assert verify(place) == ()


def test_the_refusal_says_what_a_person_types(short: Evidence) -> None:
    assert rollback_command(2) in judge(short, GateSettings()).reason
