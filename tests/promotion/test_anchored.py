"""Limits that are anchored to a fixed version, in the rule and in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import t

from mrlm.evidence.anchor_comparison import AnchorComparison
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.levels import look_level
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.recording import judge_and_record
from mrlm.promotion.record.anchor import (
    anchor_version,
    links_from_anchor,
    spent_after,
    spent_by_trials,
    spent_margins,
)
from mrlm.promotion.record.ledger import Entry, Kind, Ledger
from mrlm.promotion.settings import GateSettings
from tests.promotion.crashes import Registry

Make = Callable[..., Evidence]
RULE, ADVICE = GateSettings(), GateSettings(anchored="advise")


def _anchored(found: Evidence, guard: float, star: float = 0.2, error: float = 0.01) -> Evidence:
    def estimate(value: float) -> PolicyEstimate:
        return PolicyEstimate(value, error, 200.0, value - 0.02, value + 0.02, certified=True)

    compared = AnchorComparison(1, {"delight": estimate(star), "like": estimate(guard)}, (2, 3))
    return replace(found, anchor=compared)


def _entry(kind: Kind, version: int, run_key: str = "", **more: object) -> Entry:
    return Entry(kind, run_key or f"run{version}", version, "ada", "now", "because", **more)  # type: ignore[arg-type]


def _entries(*entries: Entry) -> tuple[Entry, ...]:
    """As a ledger would number them."""
    return tuple(replace(e, sequence=n) for n, e in enumerate(entries))


# The rule.


@pytest.mark.parametrize("look", [1, 2, 14])
def test_the_bound_against_the_anchor_is_at_the_looks_share(evidence: Make, look: int) -> None:
    looks = tuple(range(1, look + 1))
    level = look_level(looks, RULE.test_nights, 1 - RULE.guardrail_level)
    edge = -0.02 + float(t.ppf(1 - level, 200.0)) * 0.01
    kept = judge(_anchored(evidence(), edge + 1e-6), RULE, Look(looks))
    assert kept.promote
    assert kept.anchored == "within"
    below = judge(_anchored(evidence(), edge - 1e-6), RULE, Look(looks))
    assert not below.promote
    assert below.anchored == "below"
    (failed,) = [c for c in below.checks if not c.passed]
    assert failed.name == "anchor: like"
    assert f"at one-sided level {level:.3g}, below the accepted -0.02000" in below.reason
    assert "mrlm anchor set" in below.reason


def test_margins_against_the_champion_do_not_save_who_fell_below_the_anchor(evidence: Make) -> None:
    found = evidence(guard=-0.001)
    assert judge(found, RULE).promote
    assert not judge(_anchored(found, -0.03), RULE).promote


def test_the_north_star_may_not_fall_below_the_anchor_either(evidence: Make) -> None:
    verdict = judge(_anchored(evidence(), 0.1, star=0.001), RULE)
    assert [c.name for c in verdict.checks if not c.passed] == ["anchor: delight"]


def test_advice_is_told_and_refuses_nothing(evidence: Make) -> None:
    verdict = judge(_anchored(evidence(), -0.03), ADVICE)
    assert verdict.promote
    assert verdict.anchored == "below"
    assert "advice, as gate.anchored says: like: challenger - anchor version 1" in verdict.reason
    off = judge(_anchored(evidence(), -0.03), GateSettings(anchored="off"))
    assert off.promote
    assert "anchor" not in off.reason
    assert off.anchored == ""


def test_who_is_refused_anyway_is_not_held_against_the_anchor(evidence: Make) -> None:
    verdict = judge(_anchored(evidence(lift=0.0), -0.03), RULE)
    assert verdict.anchored == ""
    assert not any(c.name.startswith("anchor") for c in verdict.checks)


def test_evidence_of_another_anchor_is_refused(evidence: Make) -> None:
    verdict = judge(_anchored(evidence(), 0.1), RULE, anchor=4)
    assert not verdict.promote
    assert "anchored to version 1, and the anchor is version 4 now" in verdict.reason


def test_what_is_not_measured_is_refused_with_the_reason(evidence: Make) -> None:
    found = replace(evidence(), anchor=AnchorComparison(1, {}, unmeasured="version 1 is gone"))
    verdict = judge(found, RULE)
    assert not verdict.promote
    assert "no estimate of the difference to anchor version 1 in like (version 1 is gone)" in (
        verdict.reason
    )


def test_a_sum_of_links_says_so(evidence: Make) -> None:
    found = _anchored(evidence(), 0.1)
    assert found.anchor is not None
    found = replace(found, anchor=replace(found.anchor, summed=("like",)))
    reason = judge(found, RULE).reason
    assert "delight: challenger - anchor version 1 = +0.20000 on the same rows" in reason
    assert "as the sum of the promotions of 2, 3 and tonight's difference" in reason


# The ledger.


def test_the_first_champion_is_the_anchor_until_a_person_moves_it() -> None:
    entries = _entries(_entry("initial", 1), _entry("promoted", 2), _entry("promoted", 5))
    assert anchor_version(()) is None
    assert anchor_version(entries) == 1
    assert anchor_version((*entries, _entry("anchored", 2, anchor=1))) == 2
    assert anchor_version((*entries, _entry("rolled_back", 1))) == 1


def test_links_lead_from_the_anchor_to_the_champion() -> None:
    entries = _entries(_entry("initial", 1), _entry("promoted", 2), _entry("promoted", 5))

    def versions(*more: Entry) -> list[int | None] | None:
        found = links_from_anchor(_entries(*entries, *more))
        return None if found is None else [e.version for e in found]

    assert versions() == [2, 5]
    assert versions(_entry("rolled_back", 1)) == []
    assert versions(_entry("anchored", 2)) == [5]
    assert versions(_entry("anchored", 5)) == []
    # Never champion, or left by a rollback: no promotion leads from it.
    assert versions(_entry("anchored", 4)) is None
    assert versions(_entry("anchored", 5), _entry("rolled_back", 2)) is None


def test_only_a_proven_gain_gives_back_what_was_spent() -> None:
    before = {"like": 0.6, "return": 0.2}
    now = {"like": 0.1, "return": 0.5}
    assert spent_after(before, now, frozenset()) == {"like": 0.6, "return": 0.5}
    assert spent_after(before, now, frozenset({"like"})) == {"like": 0.1, "return": 0.5}
    # What was not measured stays as it was.
    assert spent_after(before, {}, frozenset({"like"})) == before


def test_a_judgement_writes_what_it_leaves_spent(tmp_path: Path, evidence: Make) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(_entry("initial", 1))

    def judged(night: int, guard: float, version: int) -> Entry:
        key = f"2026-11-{night}/abc"
        found = _anchored(evidence(key, 1, gate_nights=(f"2026-11-{night - 1}",)), guard)
        judge_and_record(ledger, found, RULE, version=version, actor="gate", at="now")
        return ledger.entries()[-1]

    first = judged(20, 0.05, 2)
    assert (first.anchor, first.anchored, first.spent) == (1, "within", {"like": 0.0})
    second = judged(21, -0.01, 3)
    assert (second.anchored, second.spent) == ("below", {"like": 0.5})
    third = judged(22, 0.004, 4)
    assert third.anchored == "below"
    ledger.append(_entry("promoted", 3, second.run_key))
    assert spent_margins(ledger.entries()) == {"like": 0.5}
    # The luck of one night gives nothing back.
    assert judged(23, 0.1, 5).spent == {"like": 0.5}
    # Against a new anchor nothing is known yet.
    ledger.append(_entry("anchored", 3, anchor=1))
    assert spent_margins(ledger.entries()) == {}


def test_what_trials_use_up_is_summed_whether_or_not_they_promote(
    tmp_path: Path, evidence: Make
) -> None:
    """A quarter of three nights at a fall of half a margin, then of one night at a whole one."""
    ledger, rule = Ledger(tmp_path / "ledger.jsonl"), GateSettings(trial_share=0.25)
    ledger.append(_entry("initial", 1))

    def look(first: int, last: int, guard: float, lift: float = 0.005) -> Entry:
        key, nights = f"2026-12-{last:02d}/abc", [f"2026-11-{d:02d}" for d in range(first, last)]
        found = evidence(key, 1, gate_nights=tuple(nights), lift=lift, guard=guard, error=0.002)
        test = "" if first == last - 1 else f"2026-12-{first + 1:02d}/abc"
        found = replace(_anchored(found, -0.01), candidate=test)
        judge_and_record(ledger, found, rule, version=last, actor="gate", at="now")
        return ledger.entries()[-1]

    assert look(1, 2, -0.02).trial == {}
    look(1, 4, 0.0)
    assert look(1, 5, -0.01).trial == {"like": pytest.approx(0.25 * 3 / 365 * 0.5)}
    look(6, 7, 0.0)
    look(6, 8, -0.02)
    both = {"like": pytest.approx(0.25 / 365 * (3 * 0.5 + 1.0))}
    assert spent_by_trials(ledger.entries()) == both
    # A promotion keeps them, and one that is proven better in the guardrail gives them back.
    ledger.append(_entry("promoted", 8, "2026-12-08/abc"))
    assert spent_by_trials(ledger.entries()) == both
    better = look(9, 10, 0.05, lift=0.1)
    assert better.gained == ("like",)
    assert spent_by_trials(ledger.entries()) == both
    ledger.append(_entry("promoted", 10, better.run_key))
    assert spent_by_trials(ledger.entries()) == {}
    # Rolled back, it gives back nothing.
    ledger.append(_entry("rolled_back", 8))
    assert spent_by_trials(ledger.entries()) == both


def test_moving_the_anchor_accepts_what_trials_used_up() -> None:
    used = _entry("judged", 2, trial={"like": 0.1})
    assert spent_by_trials(_entries(_entry("initial", 1), used)) == {"like": 0.1}
    moved = _entry("anchored", 1)
    assert spent_by_trials(_entries(_entry("initial", 1), used, moved)) == {}


def test_a_look_that_tells_of_one_guardrail_leaves_what_was_told_of_the_others() -> None:
    first = _entry("judged", 2, trial={"like": 0.1, "return": 0.2})
    second = _entry("judged", 3, test="run2", trial={"return": 0.3})
    other = _entry("judged", 4, trial={"like": 0.05})
    entries = _entries(_entry("initial", 1), first, second, other)
    assert spent_by_trials(entries) == {"like": pytest.approx(0.15), "return": 0.3}


# The command.


def test_a_person_moves_the_anchor_with_a_reason(champions: Registry, tmp_path: Path) -> None:
    registry = champions.copy(tmp_path)
    code, printed = registry.run("anchor")
    assert code == 0
    assert "anchor: version 1 (since" in printed
    assert "first champion" in printed
    move = ("anchor", "set", "2", "--actor", "ada", "--reason", "the loss in likes is accepted")
    for _ in range(2):
        code, printed = registry.run(*move)
        assert code == 0
        assert "the anchor is version 2, before it was version 1" in printed
    assert [e["kind"] for e in registry.lines()].count("anchored") == 1
    last = registry.lines()[-1]
    assert (last["version"], last["anchor"], last["actor"]) == (2, 1, "ada")
    assert "version 2 (since" in registry.run("anchor")[1]
    assert "the loss in likes is accepted" in registry.run("status")[1]
    # No promotion moves it, and neither does a rollback.
    assert registry.run("rollback", "--actor", "ada", "--reason", "complaints")[0] == 0
    assert "anchor: version 2" in registry.run("anchor")[1]
    assert registry.run("verify")[0] == 0


@pytest.mark.parametrize(
    ("version", "reason", "said"),
    [("99", "because", "there is no version 99; the versions are 1, 2"), ("2", " ", "reason")],
)
def test_an_anchor_that_makes_no_sense_is_refused(
    champions: Registry, tmp_path: Path, version: str, reason: str, said: str
) -> None:
    registry = champions.copy(tmp_path)
    code, printed = registry.run("anchor", "set", version, "--actor", "ada", "--reason", reason)
    assert code != 0
    assert said in printed
    assert "anchored" not in {e["kind"] for e in registry.lines()}
