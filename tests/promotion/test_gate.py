from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm, t

from mrlm.evidence.anchor_comparison import AnchorComparison
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.groups import GroupDifference
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.nights.group_sequential import passing
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.levels import last_level, look_level
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.recording import judge_and_record
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.record.candidate import earlier_looks
from mrlm.promotion.record.ledger import Entry, Ledger, judged_nights
from mrlm.promotion.settings import GateSettings
from tests.evidence.found import hindcast_of, weight_figures

Make = Callable[..., Evidence]
RULE = GateSettings()


def _level(looks: tuple[int, ...], rule: GateSettings, rows: tuple[int, ...] = ()) -> float:
    return look_level(looks, rule.test_nights, rule.false_promotions, rows)


def _failed(verdict: Verdict) -> list[str]:
    return [c.name for c in verdict.checks if not c.passed]


def test_a_clear_lift_is_promoted_with_its_numbers(evidence: Make) -> None:
    verdict = judge(evidence(), RULE)
    assert verdict.promote
    assert "delight: challenger - champion = +0.10000 with lower bound" in verdict.reason
    assert "guardrail like" in verdict.reason
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


@pytest.mark.parametrize("looks", [(1,), (2,), (1, 2, 3), (2, 5, 14), (13, 15)])
def test_the_bound_is_at_the_level_of_the_look(evidence: Make, looks: tuple[int, ...]) -> None:
    level = _level(looks, RULE)
    edge = float(t.ppf(1 - level, 200.0)) * 0.01
    above, below = evidence(lift=edge * 1.0001), evidence(lift=edge * 0.9999)
    assert judge(above, RULE, Look(looks)).promote
    refused = judge(below, RULE, Look(looks))
    assert _failed(refused) == ["north star"]
    assert refused.level == pytest.approx(level)
    assert f"(look {len(looks)}, {looks[-1]} of 14 nights)" in refused.reason
    assert "decisions in all would show it" in refused.reason


def test_a_test_spends_its_share_of_the_years_error() -> None:
    """One test may begin a night; its first look of one night has the square of its part."""
    of_a_test = RULE.false_promotions / (365 + 13)
    assert _level((1,), RULE) == pytest.approx(of_a_test / 14**2)
    assert _level((14,), RULE) == pytest.approx(of_a_test)
    assert _level((15,), RULE) == pytest.approx(of_a_test)
    nightly = GateSettings(test_nights=1)
    assert _level((1,), nightly) == pytest.approx(RULE.false_promotions / 365)
    levels = [_level(tuple(range(1, n + 1)), RULE) for n in range(1, 15)]
    assert levels == sorted(levels)


def test_a_long_test_leaves_the_next_one_more_error(tmp_path: Path, evidence: Make) -> None:
    """Three nights without a proof earn the next challenger three times the error of a first one.

    Its edge at that level is promoted, and refused where the test before took one night.
    """
    ledger = Ledger(tmp_path / "ledger.jsonl")
    first = evidence("2026-11-20/abc", lift=0.02, gate_nights=("2026-11-01", "2026-11-02"))
    judge_and_record(ledger, first, RULE, version=2, actor="gate", at="now")
    nights = (*first.gate_nights, "2026-11-03")
    last = evidence("2026-11-21/abc", lift=0.005, guard=-0.03, gate_nights=nights)
    last = replace(last, candidate=first.run_key)
    assert not judge_and_record(ledger, last, RULE, version=3, actor="gate", at="now").goes_on
    level = 3 * _level((1,), RULE)
    edge = float(t.ppf(1 - level, 200.0)) * 0.01
    found = evidence("2026-11-22/abc", lift=edge * 1.0001, gate_nights=("2026-11-04",))
    verdict = judge_and_record(ledger, found, RULE, version=4, actor="gate", at="now")
    assert verdict.promote
    assert verdict.level == pytest.approx(level)
    assert not judge(found, RULE).promote


def test_nights_of_unlike_size_spend_what_they_have() -> None:
    """Many decisions at the end leave little of the error to the looks before, and the reverse."""
    nights = (1, 2, 3)
    alike = _level(nights, RULE, (100, 200, 300))
    assert alike == pytest.approx(_level(nights, RULE))
    # What comes last is nearly all that there is, and hardly depends on the looks before it.
    late = _level(nights, RULE, (10, 20, 3000))
    spent = RULE.false_promotions / 378 * (3**2 - 2**2) / RULE.test_nights**2
    assert late == pytest.approx(spent, rel=0.02)
    assert late < alike
    # What is not known, or does not rise, is taken as alike.
    for rows in ((0, 100, 200), (100, 100, 100), (300, 200, 100), (100, 200)):
        assert _level(nights, RULE, rows) == pytest.approx(alike)


def test_who_was_rejected_at_an_earlier_look_is_refused(evidence: Make) -> None:
    word = Entry("rejected", "2026-11-20-abc", 2, "ada", "now", "odd lists")
    verdict = judge(evidence(), RULE, rejected=word)
    assert _failed(verdict) == ["person"]
    assert "ada rejected this challenger at an earlier look (odd lists)" in verdict.reason


def test_looks_rise(evidence: Make) -> None:
    for looks in ((0,), (2, 2), ()):
        with pytest.raises(ValueError, match="must rise"):
            judge(evidence(), RULE, Look(looks))


def test_a_refusal_says_whether_the_test_goes_on(evidence: Make) -> None:
    short = judge(evidence(lift=0.02), RULE, Look((1, 2)))
    assert short.goes_on
    assert "the test goes on with the next night: 2 of 14 so far" in short.reason
    for found, looks in (
        (evidence(lift=-0.001), (1,)),
        (evidence(lift=0.02, guard=-0.021), (1,)),
        (evidence(lift=0.02), (1, 14)),
        (replace(evidence(lift=0.02), propensities="estimated"), (1,)),
    ):
        ended = judge(found, RULE, Look(looks))
        assert not ended.promote
        assert not ended.goes_on
        assert "the test ends here" in ended.reason
    assert not judge(evidence(), RULE).goes_on
    alone = judge(evidence(lift=0.02), GateSettings(test_nights=1))
    assert not alone.goes_on
    assert "the test" not in alone.reason
    assert "the test" not in judge(evidence(gate_nights=()), RULE).reason


def test_a_log_that_tells_too_little_names_the_way_out(evidence: Make) -> None:
    found = evidence(lift=0.02)
    unsure = replace(found.differences["dr"]["delight"], certified=False, reasons=("too few rows",))
    differences = {**found.differences, "dr": {**found.differences["dr"], "delight": unsure}}
    shown, few = {"logger": weight_figures(900.0)}, {"challenger": weight_figures(12.0)}
    narrow = replace(found, differences=differences, diagnostics={**shown, **few})
    assert "gate.trial_share lets a challenger" in judge(narrow, RULE).reason
    assert "gate.trial_share" not in judge(narrow, GateSettings(trial_share=0.1)).reason
    assert "gate.trial_share" not in judge(found, RULE).reason
    # Of a log that would not do for the logger either, no trial makes enough.
    small = replace(narrow, diagnostics={"logger": weight_figures(100.0), **few})
    assert "gate.trial_share" not in judge(small, RULE).reason


def test_a_hopeless_test_makes_room(evidence: Make) -> None:
    """Half a standard error above nothing is a beginning, and next to the end it is the end."""
    looks = tuple(range(1, 13))
    for lift, nights, goes_on in ((0.005, 1, True), (0.005, 12, False), (0.032, 12, True)):
        verdict = judge(evidence(lift=lift), RULE, Look(looks[:nights]))
        assert (verdict.promote, verdict.goes_on) == (False, goes_on)


def test_a_refusal_says_what_would_change_it(evidence: Make) -> None:
    """Rows at which the last look passes with 80 %, a standard error below the estimate."""
    reason = judge(evidence(lift=0.04, error=0.02, guard=-0.001), RULE).reason
    reach = float(norm.isf(last_level(RULE.test_nights, RULE.false_promotions, 1)) + norm.ppf(0.8))
    needed = math.ceil(900 * (reach * 0.02 / (0.04 - 0.02)) ** 2)
    told = f"about {needed} decisions in all, more than the {14 * 900} of a whole test, would show"
    assert f"{told} it with probability 80%" in reason
    assert "about 900 decisions" not in reason
    unsure = judge(evidence(lift=0.01, error=0.02), RULE).reason
    assert "how many decisions would show it cannot be said yet" in unsure
    hopeless = judge(evidence(guard=-0.03), RULE).reason
    assert "below the accepted -0.02000; more decisions alone would not change this" in hopeless


def test_guardrails_are_shown_not_to_fall_one_by_one(evidence: Make) -> None:
    quantile = float(t.ppf(0.95, 200.0))
    edge = -0.02 + quantile * 0.01
    assert judge(evidence(guard=edge + 1e-6), RULE, Look((1, 2, 3))).level > 0
    assert _failed(judge(evidence(guard=edge + 1e-6), RULE)) == []
    refused = judge(evidence(guard=edge - 1e-6), RULE)
    assert _failed(refused) == ["guardrail like"]
    assert "below the accepted -0.02" in refused.reason


def test_a_guardrail_without_an_estimate_refuses(evidence: Make) -> None:
    verdict = judge(replace(evidence(), guardrails={"like": 0.02, "return": 0.1}), RULE)
    assert _failed(verdict) == ["guardrail return"]
    assert "no estimate" in verdict.reason


@pytest.mark.parametrize("where", ["difference", "challenger", "guardrail"])
def test_what_is_not_certified_is_refused_with_reason_and_rows(
    evidence: Make, estimate: Callable[..., PolicyEstimate], where: str
) -> None:
    found = evidence()
    bad = estimate(0.1, certified=False)
    if where == "challenger":
        policies = {**found.policies, "challenger": {"dr": {"delight": bad}}}
        found = replace(found, policies=policies)
    else:
        name = "delight" if where == "difference" else "like"
        differences = {"dr": {**found.differences["dr"], name: bad}}
        found = replace(found, differences=differences)
    verdict = judge(found, RULE)
    assert not verdict.promote
    assert "effective sample size 12" in verdict.reason
    assert "15000 decisions" in verdict.reason
    assert "lower bound" not in verdict.reason


def test_a_certified_estimate_without_numbers_is_refused(evidence: Make) -> None:
    found = evidence()
    differences = {
        "dr": {**found.differences["dr"], "delight": PolicyEstimate(value=0.1, certified=True)}
    }
    assert not judge(replace(found, differences=differences), RULE).promote


def test_no_champion_no_nights_and_used_nights_are_refused(evidence: Make) -> None:
    assert "no champion" in judge(evidence(champion_version=None), RULE).reason
    waiting = judge(replace(evidence(gate_nights=()), policies={}), RULE).reason
    assert "no fresh gate night" in waiting
    assert "no champion" not in waiting
    used = judge(evidence(), RULE, used_nights=frozenset({"2026-11-19"}))
    assert _failed(used) == ["gate nights"]
    assert "2026-11-19 already judged" in used.reason


def test_the_same_policy_is_no_better(evidence: Make) -> None:
    assert _failed(judge(evidence(lift=0.0, error=0.0), RULE)) == ["north star"]


def test_a_run_key_is_judged_once(tmp_path: Path, evidence: Make) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")

    def ask(found: Evidence) -> Verdict:
        return judge_and_record(ledger, found, RULE, version=2, actor="gate", at="now")

    first = ask(evidence())
    ask(evidence("2026-11-21/abc", gate_nights=("2026-11-20",)))
    assert ask(evidence()) == first
    changed = ask(evidence(lift=-0.5))
    assert changed.promote
    assert "judged once" in changed.reason
    assert [e.run_key for e in ledger.entries()] == ["2026-11-20/abc", "2026-11-21/abc"]


def test_looks_at_one_challenger_add_up(tmp_path: Path, evidence: Make) -> None:
    """Its nights are its own to use again; those of another test are not."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    nights = tuple(f"2026-11-{d}" for d in range(19, 25))

    def ask(day: int, of: tuple[str, ...], candidate: str = "", lift: float = 0.02) -> Verdict:
        found = evidence(f"2026-11-{day}/abc", gate_nights=of, lift=lift)
        found = replace(found, candidate=candidate)
        return judge_and_record(ledger, found, RULE, version=day, actor="gate", at="now")

    first = ask(20, nights[:1])
    assert (first.look, first.level) == (1, _level((1,), RULE))
    again = ask(21, nights[:2], "2026-11-20/abc")
    assert (again.look, again.level) == (2, _level((1, 2), RULE))
    assert "already judged" not in again.reason
    strange = ask(22, nights[1:2])
    assert "2026-11-20 already judged" in strange.reason
    last = ask(23, nights[:4], "2026-11-20/abc", lift=0.1)
    assert (last.look, last.promote) == (3, True)
    told = [(e.test, e.goes_on, e.level) for e in ledger.entries()]
    assert told[0] == ("", True, first.level)
    assert told[1] == ("2026-11-20/abc", True, again.level)
    assert told[3] == ("2026-11-20/abc", False, _level((1, 2, 4), RULE))


def test_a_run_without_a_fresh_night_is_no_look(tmp_path: Path, evidence: Make) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    found = evidence(gate_nights=())
    judge_and_record(ledger, found, RULE, version=1, actor="gate", at="now")
    assert earlier_looks(ledger.entries(), found.run_key, "another") == ()


def test_two_settings_cannot_judge_one_night_twice(tmp_path: Path, evidence: Make) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    keys = ("2026-11-20/abc", "2026-11-20/other")
    verdicts = [
        judge_and_record(ledger, evidence(k), RULE, version=1, actor="gate", at="now") for k in keys
    ]
    assert [v.promote for v in verdicts] == [True, False]


@pytest.mark.statistics
def test_wrong_promotions_in_a_year_stay_within_the_bound(evidence: Make) -> None:
    """2,000 years of tests of 14 nights with no true lift: at most 5 % hold any promotion.

    A test that looks hopeless ends early, as the gate ends it. With p = 0.05 more than 130 of 2,000
    has probability 0.2 %.
    """
    rng = np.random.default_rng(3)
    normal = norm.isf([_level(tuple(range(1, n + 1)), RULE) for n in range(1, 15)])
    total, nights = np.zeros(2000), np.zeros(2000, np.int64)
    wrong = np.zeros(2000, np.bool_)
    for _ in range(365):
        total, nights = total + rng.normal(size=2000), nights + 1
        promoted = total / np.sqrt(nights) > normal[nights - 1]
        wrong |= promoted
        ended = promoted | (nights == 14) | (total <= 0)
        total, nights = np.where(ended, 0.0, total), np.where(ended, 0, nights)
    assert 0 < wrong.sum() <= 130


def test_evidence_survives_json_and_names_itself(evidence: Make) -> None:
    found = evidence()
    again = Evidence.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert again.fingerprint() == found.fingerprint()
    assert evidence(lift=0.1001).fingerprint() != found.fingerprint()
    with pytest.raises(ValueError, match="unknown fields"):
        Evidence.from_json({**found.to_json(), "surprise": 1})
    with pytest.raises(ValueError, match="incomplete"):
        Evidence.from_json({"run_key": "a"})


def test_a_night_has_one_role(evidence: Make) -> None:
    with pytest.raises(ValueError, match="2026-11-18"):
        evidence(gate_nights=("2026-11-18",))


def _with_logger(
    found: Evidence, estimate: Callable[..., PolicyEstimate], **values: float
) -> Evidence:
    against = {
        "delight": estimate(values.get("lift", 0.1)),
        "like": estimate(values.get("guard", 0.0)),
    }
    return replace(found, logger_differences={"dr": against})


def test_a_challenger_must_beat_the_logger_too(
    evidence: Make, estimate: Callable[..., PolicyEstimate]
) -> None:
    better = judge(_with_logger(evidence(), estimate), RULE)
    assert better.promote
    assert "delight: challenger - logger = +0.10000 with lower bound" in better.reason
    # Better than the champion, and not shown to be better than who wrote the log.
    worse = judge(_with_logger(evidence(), estimate, lift=0.01), RULE)
    assert _failed(worse) == ["north star against the logger"]
    assert "challenger - logger = +0.01000" in worse.reason
    fallen = judge(_with_logger(evidence(), estimate, guard=-0.05), RULE)
    assert _failed(fallen) == ["guardrail like against the logger"]
    assert "challenger - logger = -0.05000" in fallen.reason


def test_an_uncertified_difference_to_the_logger_refuses(
    evidence: Make, estimate: Callable[..., PolicyEstimate]
) -> None:
    found = _with_logger(evidence(), estimate)
    unsure = {"delight": estimate(0.1, certified=False), "like": estimate(0.0)}
    verdict = judge(replace(found, logger_differences={"dr": unsure}), RULE)
    assert _failed(verdict) == ["certified: difference to the logger in delight"]


def test_evidence_from_before_the_logger_was_compared_keeps_its_name_and_verdict(
    evidence: Make, estimate: Callable[..., PolicyEstimate]
) -> None:
    old = evidence()
    assert "logger_differences" not in old.to_json()
    assert judge(Evidence.from_json(old.to_json()), RULE).promote
    new = _with_logger(old, estimate)
    assert Evidence.from_json(json.loads(json.dumps(new.to_json()))) == new
    assert new.fingerprint() != old.fingerprint()


def test_estimated_propensities_are_refused_unless_a_setting_accepts_them(evidence: Make) -> None:
    found = replace(evidence(), propensities="estimated")
    refused = judge(found, RULE)
    assert _failed(refused) == ["propensities"]
    assert "propensities of the gate nights are estimated" in refused.reason
    accepted = judge(found, GateSettings(allow_estimated_propensities=True))
    assert accepted.promote
    assert any("accepts" in c.text for c in accepted.checks)
    assert "propensities" not in {c.name for c in judge(evidence(), RULE).checks}
    assert Evidence.from_json(found.to_json()) == found


TRIAL = GateSettings(trial_share=0.25)


def test_nights_of_a_trial_count_by_what_they_tell(tmp_path: Path, evidence: Make) -> None:
    """Two narrow nights, then a trial's, each of which tells forty times as much of the pair.

    By their decisions the boundaries would let more than a tenth too many through.
    """
    ledger = Ledger(tmp_path / "ledger.jsonl")
    told = [1.0, 2.0, *(2.0 + 40 * n for n in range(1, 13))]
    days = [f"2026-11-{day:02d}" for day in range(1, 15)]
    for n, precise in enumerate(told, 1):
        error = 0.01 / math.sqrt(precise)
        found = evidence(f"{days[n - 1]}/abc", gate_nights=tuple(days[:n]), lift=error, error=error)
        found = replace(found, fit_nights=(), tune_nights=(), rows=900 * n)
        found = replace(found, candidate="" if n == 1 else f"{days[0]}/abc")
        judge_and_record(ledger, found, TRIAL, version=n, actor="gate", at="now")
    bounds = norm.isf([e.level for e in ledger.entries()])
    error = TRIAL.false_promotions / 378
    assert passing(told, bounds).sum() == pytest.approx(error, rel=1e-6)
    by_rows = norm.isf([_level(tuple(range(1, n + 1)), TRIAL) for n in range(1, 15)])
    assert passing(told, by_rows).sum() > 1.1 * error


def test_a_trial_is_not_hopeless_for_the_nights_before_it(evidence: Make) -> None:
    """One night of the trial in three: each of eleven more tells about as much as all so far."""
    looks, found = (1, 2, 3), evidence(lift=0.004)
    assert not judge(found, RULE, Look(looks)).goes_on
    assert not judge(replace(found, trial_night=1 / 3), TRIAL, Look(looks)).goes_on
    assert judge(replace(found, trial_night=0.98), TRIAL, Look(looks)).goes_on


def test_what_a_narrow_log_tells_starts_a_trial_whatever_its_sign(evidence: Make) -> None:
    """A night of the trial tells fifty times as much: half a standard error below is a coin's toss.

    A standard error below is not, in the north star or below a guardrail's margin. And once the log
    tells as much as the trial's nights will, an estimate below the limit ends the test.
    """
    for lift, guard, told, goes_on in (
        (-0.005, -0.025, 50.0, True),
        (-0.010, 0.0, 50.0, False),
        (0.005, -0.031, 50.0, False),
        (-0.005, 0.0, 1.0, False),
        (0.005, -0.021, 1.0, False),
        (0.005, -0.019, 1.0, True),
        (0.005, 0.0, 1e-20, True),
    ):
        found = replace(evidence(lift=lift, guard=guard), trial_night=told)
        assert judge(found, TRIAL).goes_on is goes_on, (lift, guard, told)


def test_a_trial_begins_without_a_look_unless_nobody_may_be_promoted(
    tmp_path: Path, evidence: Make
) -> None:
    """Its first look is the first that counts, on nights that all are the trial's."""
    key, looked = "2026-11-20-abc", evidence("2026-11-23-abc", 1)
    begins = replace(
        looked, run_key=key, gate_nights=(), policies={}, differences={}, trial_begins="narrow"
    )
    verdict = judge(begins, TRIAL)
    assert (verdict.promote, verdict.goes_on) == (False, True)
    assert verdict.reason == "its trial begins, and no night is judged yet: narrow"
    for other in (
        replace(begins, champion_version=None),
        replace(begins, propensities="estimated"),
        replace(begins, hindcast=hindcast_of(1, alarm=True)),
        replace(begins, stays="nothing is better"),
    ):
        refused = judge(other, TRIAL)
        assert (refused.promote, refused.goes_on) == (False, False)
        assert "trial begins" not in refused.reason
    ledger = Ledger(tmp_path / "ledger.jsonl")
    judge_and_record(ledger, begins, TRIAL, version=2, actor="gate", at="now")
    first = replace(looked, candidate=key)
    judge_and_record(ledger, first, TRIAL, version=3, actor="gate", at="now")
    entries = ledger.entries()
    assert [e.goes_on for e in entries] == [True, False]
    assert entries[1].level == _level((1,), TRIAL)


def test_a_trial_ends_that_serves_what_harms(evidence: Make, estimate: Make) -> None:
    """A group that is shown to be worse off at its share of a look, or a guardrail of the anchor.

    A challenger that nobody is served by stays under test: the next night may tell otherwise.
    """
    found, edge = evidence(lift=0.02), float(norm.isf(0.2)) * 0.01
    each = float(t.isf(TRIAL.group_error / TRIAL.test_nights, 200.0)) * 0.01

    def of_group(value: float) -> Evidence:
        own = GroupDifference("scene", "home", 100, 40, {"delight": estimate(-value)})
        return replace(found, groups=(own,))

    def of_anchor(value: float, **more: bool) -> Evidence:
        own = {"delight": estimate(0.1), "like": estimate(value, **more)}
        return replace(found, anchor=AnchorComparison(1, own))

    for harmed in (of_group(each * 1.01), of_anchor(-0.021)):
        assert judge(harmed, RULE).goes_on
        assert not judge(harmed, TRIAL).goes_on
        advice = {"groups": "advise", "anchored": "advise"}
        assert judge(harmed, TRIAL.model_copy(update=advice)).goes_on
    for unsure in (of_group(edge * 1.1), of_anchor(-0.019), of_anchor(-0.021, certified=False)):
        assert judge(unsure, TRIAL).goes_on


def test_a_challenger_that_is_the_champion_is_not_tested(evidence: Make, tmp_path: Path) -> None:
    """One sentence says so; neither a night nor a test is used up, and the next look is a first."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(Entry("initial", "first", 1, "ada", "now", "the logger"))
    same = replace(evidence(gate_nights=()), stays="no direction is significant", rows=0)
    verdict = judge_and_record(ledger, same, RULE, version=2, actor="rule", at="now")
    assert verdict.reason == (
        "nothing was tested, for tonight's challenger is the champion itself (no direction is "
        "significant); its nights stay fresh for the next one"
    )
    assert (verdict.promote, verdict.goes_on) == (False, False)
    assert judged_nights(ledger.entries()) == frozenset()
    found = evidence("2026-11-21/abc", lift=0.02)
    verdict = judge_and_record(ledger, found, RULE, version=3, actor="rule", at="now")
    assert verdict.look == 1
    assert verdict.level == pytest.approx(_level((1,), RULE))


def test_an_alarm_is_told_although_nothing_is_tested(evidence: Make) -> None:
    alarm = replace(evidence(gate_nights=()), stays="nothing", hindcast=hindcast_of(1, alarm=True))
    assert _failed(judge(alarm, RULE)) == ["challenger", "hindcast"]
    assert "mrlm rollback --from 1" in judge(alarm, RULE).reason
    assert _failed(judge(alarm, GateSettings(watch="off"))) == ["challenger"]


def test_a_bound_of_too_few_effective_rows_is_not_told(evidence: Make) -> None:
    """Student's t of 2 degrees of freedom is 800 standard errors away at the first look's level."""
    found = evidence(lift=0.1)
    few = replace(found.differences["dr"]["delight"], degrees_of_freedom=2.0)
    rough = replace(found, differences={"dr": {**found.differences["dr"], "delight": few}})
    refused = judge(rough, RULE)
    assert _failed(refused) == ["north star"]
    assert "= +0.10000 with too few effective rows for a lower bound at one-sided" in refused.reason
    many = replace(few, degrees_of_freedom=20.0)
    plain = replace(found, differences={"dr": {**found.differences["dr"], "delight": many}})
    assert "with lower bound" in judge(plain, RULE).reason
