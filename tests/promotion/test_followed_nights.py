from __future__ import annotations

from dataclasses import replace

from mrlm.evidence.followed_promotions import Hindcast
from mrlm.promotion.judgement.recording import error_tested_at
from mrlm.promotion.record.followed_nights import nights_since, promotions
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.settings import GateSettings
from tests.evidence.found import hindcast_of

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
    few = GateSettings(hindcast_nights=3, hindcast_promotions=1)
    assert nights_since(LEDGER, "tonight", NIGHTS, few) == {"c": NIGHTS[8:10]}
    few = GateSettings(hindcast_nights=3)
    assert nights_since(LEDGER, "tonight", NIGHTS, few)["a"] == NIGHTS[4:7]


def test_a_run_key_is_one_promotion_and_spends_what_it_was_judged_at() -> None:
    placed, last = [], None
    for e in (*LEDGER, entry("promoted", "a", 2, NIGHTS[2:4])):
        last = e.chained(last)
        placed.append(last)
    assert [e.run_key for e in promotions(placed)] == ["a", "c"]
    errors = [error_tested_at(tuple(placed), k, RULE) for k in "abcd"]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 4


def test_a_night_that_is_final_late_comes_after_those_that_were_read() -> None:
    """Else the looks of the nights before it would be other looks."""
    early = [n for n in NIGHTS if n != NIGHTS[5]]
    first = nights_since(LEDGER, "tonight", early, RULE)["a"]
    assert NIGHTS[5] not in first
    one = replace(hindcast_of(2, alarm=False).promotions[0], nights=tuple(first))
    late = nights_since(LEDGER, "tonight", NIGHTS, RULE, Hindcast((one,)))["a"]
    assert late == [*first, NIGHTS[5]]
    few = GateSettings(hindcast_nights=len(first))
    assert nights_since(LEDGER, "tonight", NIGHTS, few, Hindcast((one,)))["a"] == first


def test_nights_on_which_nothing_was_tested_are_read_once_newer_ones_took_their_place() -> None:
    """Else nobody would watch a champion that no challenger comes up against."""
    found = nights_since(LEDGER, "tonight", NIGHTS, RULE, coming=NIGHTS[-2:])
    assert found == {"a": NIGHTS[4:12], "c": NIGHTS[8:12]}
