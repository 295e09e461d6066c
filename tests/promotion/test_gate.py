from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.nights.spending import error_at
from mrlm.promotion.judgement.gate import Verdict, judge, judge_and_record
from mrlm.promotion.record.ledger import Ledger
from mrlm.promotion.settings import GateSettings

Make = Callable[..., Evidence]
RULE = GateSettings()


def _failed(verdict: Verdict) -> list[str]:
    return [c.name for c in verdict.checks if not c.passed]


def test_a_clear_lift_is_promoted_with_its_numbers(evidence: Make) -> None:
    verdict = judge(evidence(), RULE, looks=1)
    assert verdict.promote
    assert "delight: challenger - champion = +0.10000 with lower bound" in verdict.reason
    assert "guardrail like" in verdict.reason
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


@pytest.mark.parametrize("looks", [1, 2, 10, 1000])
def test_the_bound_is_at_this_looks_share_of_the_error(evidence: Make, looks: int) -> None:
    level = error_at(looks, RULE.false_promotions)
    edge = float(t.ppf(1 - level, 200.0)) * 0.01
    above, below = evidence(lift=edge * 1.0001), evidence(lift=edge * 0.9999)
    assert judge(above, RULE, looks).promote
    refused = judge(below, RULE, looks)
    assert _failed(refused) == ["north star"]
    assert refused.level == pytest.approx(level)
    assert "decisions would be needed" in refused.reason


def test_later_looks_ask_for_more(evidence: Make) -> None:
    found = evidence(lift=0.025)
    assert judge(found, RULE, looks=1).promote
    assert not judge(found, RULE, looks=50).promote
    with pytest.raises(ValueError, match="1 or more"):
        judge(found, RULE, looks=0)


def test_rows_needed_is_what_would_have_passed(evidence: Make) -> None:
    found = evidence(lift=0.01, error=0.02)
    verdict = judge(found, RULE, looks=1)
    needed = int(verdict.reason.split("about ")[1].split(" ")[0])
    error = 0.02 * np.sqrt(found.rows / (needed + 1))
    assert judge(evidence(lift=0.01, error=float(error)), RULE, looks=1).promote


def test_guardrails_are_shown_not_to_fall_one_by_one(evidence: Make) -> None:
    quantile = float(t.ppf(0.95, 200.0))
    edge = -0.02 + quantile * 0.01
    assert judge(evidence(guard=edge + 1e-6), RULE, looks=100).level > 0
    assert _failed(judge(evidence(guard=edge + 1e-6), RULE, looks=1)) == []
    refused = judge(evidence(guard=edge - 1e-6), RULE, looks=1)
    assert _failed(refused) == ["guardrail like"]
    assert "below the accepted -0.02" in refused.reason


def test_a_guardrail_without_an_estimate_refuses(evidence: Make) -> None:
    verdict = judge(replace(evidence(), guardrails={"like": 0.02, "return": 0.1}), RULE, 1)
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
    verdict = judge(found, RULE, looks=1)
    assert not verdict.promote
    assert "effective sample size 12" in verdict.reason
    assert "15000 decisions" in verdict.reason
    assert "lower bound" not in verdict.reason


def test_a_certified_estimate_without_numbers_is_refused(evidence: Make) -> None:
    found = evidence()
    differences = {
        "dr": {**found.differences["dr"], "delight": PolicyEstimate(value=0.1, certified=True)}
    }
    assert not judge(replace(found, differences=differences), RULE, looks=1).promote


def test_no_champion_no_nights_and_used_nights_are_refused(evidence: Make) -> None:
    assert "no champion" in judge(evidence(champion_version=None), RULE, 1).reason
    waiting = judge(replace(evidence(gate_nights=()), policies={}), RULE, 1).reason
    assert "no fresh gate night" in waiting
    assert "no champion" not in waiting
    used = judge(evidence(), RULE, 1, frozenset({"2026-11-19"}))
    assert _failed(used) == ["gate nights"]
    assert "2026-11-19 already judged" in used.reason


def test_the_same_policy_is_no_better(evidence: Make) -> None:
    assert _failed(judge(evidence(lift=0.0, error=0.0), RULE, 1)) == ["north star"]


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


def test_only_judgements_that_could_promote_are_looks(tmp_path: Path, evidence: Make) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    looks = []
    for day, nights in ((20, ()), (21, ("2026-11-19",)), (22, ("2026-11-20",)), (23, ())):
        found = evidence(f"2026-11-{day}/abc", gate_nights=nights)
        looks.append(judge_and_record(ledger, found, RULE, version=1, actor="gate", at="now").look)
    assert looks == [1, 1, 2, 3]


def test_two_settings_cannot_judge_one_night_twice(tmp_path: Path, evidence: Make) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    keys = ("2026-11-20/abc", "2026-11-20/other")
    verdicts = [
        judge_and_record(ledger, evidence(k), RULE, version=1, actor="gate", at="now") for k in keys
    ]
    assert [v.promote for v in verdicts] == [True, False]


@pytest.mark.statistics
def test_wrong_promotions_over_many_nights_stay_within_the_bound(evidence: Make) -> None:
    """600 histories of 40 nights with no true lift: at most 5 % hold any promotion.

    The bound is conservative: with p = 0.05 more than 46 of 600 has probability 0.3 %.
    """
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(600):
        lifts = 0.01 * rng.standard_t(200, 40)
        levels = [error_at(k + 1, RULE.false_promotions) for k in range(40)]
        wrong += bool((lifts > 0.01 * t.ppf(1 - np.array(levels), 200)).any())
    assert wrong <= 46
    # The simulated rule is the gate's own.
    for k, lift in enumerate(lifts[:5]):
        found = evidence(lift=float(lift))
        expected = lift > 0.01 * t.ppf(1 - levels[k], 200)
        assert judge(found, RULE, k + 1).promote == expected


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
    better = judge(_with_logger(evidence(), estimate), RULE, looks=1)
    assert better.promote
    assert "delight: challenger - logger = +0.10000 with lower bound" in better.reason
    # Better than the champion, and not shown to be better than who wrote the log.
    worse = judge(_with_logger(evidence(), estimate, lift=0.01), RULE, looks=1)
    assert _failed(worse) == ["north star against the logger"]
    assert "challenger - logger = +0.01000" in worse.reason
    fallen = judge(_with_logger(evidence(), estimate, guard=-0.05), RULE, looks=1)
    assert _failed(fallen) == ["guardrail like against the logger"]
    assert "challenger - logger = -0.05000" in fallen.reason


def test_an_uncertified_difference_to_the_logger_refuses(
    evidence: Make, estimate: Callable[..., PolicyEstimate]
) -> None:
    found = _with_logger(evidence(), estimate)
    unsure = {"delight": estimate(0.1, certified=False), "like": estimate(0.0)}
    verdict = judge(replace(found, logger_differences={"dr": unsure}), RULE, looks=1)
    assert _failed(verdict) == ["certified: difference to the logger in delight"]


def test_evidence_from_before_the_logger_was_compared_keeps_its_name_and_verdict(
    evidence: Make, estimate: Callable[..., PolicyEstimate]
) -> None:
    old = evidence()
    assert "logger_differences" not in old.to_json()
    assert judge(Evidence.from_json(old.to_json()), RULE, looks=1).promote
    new = _with_logger(old, estimate)
    assert Evidence.from_json(json.loads(json.dumps(new.to_json()))) == new
    assert new.fingerprint() != old.fingerprint()


def test_estimated_propensities_are_refused_unless_a_setting_accepts_them(evidence: Make) -> None:
    found = replace(evidence(), propensities="estimated")
    refused = judge(found, RULE, looks=1)
    assert _failed(refused) == ["propensities"]
    assert "propensities of the gate nights are estimated" in refused.reason
    accepted = judge(found, GateSettings(allow_estimated_propensities=True), looks=1)
    assert accepted.promote
    assert any("accepts" in c.text for c in accepted.checks)
    assert "propensities" not in {c.name for c in judge(evidence(), RULE, looks=1).checks}
    assert Evidence.from_json(found.to_json()) == found
