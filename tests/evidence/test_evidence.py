from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import pytest

from mrlm.evidence.canonical import canonical_json, fingerprint_of
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.groups import GroupDifference
from mrlm.evidence.outlook import NextNight, Outlook, Power
from tests.evidence.found import NUMBER, evidence_of, hindcast_of

NEXT = NextNight(0.1, -0.1, 0.3, 0.95, 0.05, 0.04, 5.0, 8)


def test_evidence_keeps_what_it_says_of_other_nights() -> None:
    outlook = Outlook(0.02, NEXT, (Power(0.05, 0.01, 900),))
    found = evidence_of(hindcast=hindcast_of(2, alarm=True), outlook=outlook)
    again = Evidence.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert again.fingerprint() == found.fingerprint()


def test_evidence_of_before_there_was_hindcast_keeps_its_fingerprint() -> None:
    """The ledger names evidence by its fingerprint: fields that came later may not change it."""
    old = asdict(evidence_of())
    later = ("hindcast", "outlook", "support", "propensities", "logger_differences")
    later += ("reward_states", "baseline_differences", "anchor", "groups", "exposure", "candidate")
    later += ("stays", "logged", "measures", "trial_night", "trial_begins")
    for name in later:
        del old[name]
    for estimates in [*old["policies"].values(), old["differences"]]:
        for estimate in [e for by_name in estimates.values() for e in by_name.values()]:
            del estimate["unknown_low"], estimate["unknown_high"]
    assert Evidence.from_json(old).fingerprint() == fingerprint_of(old)


def test_a_field_that_holds_something_is_written() -> None:
    said = evidence_of(
        propensities="estimated",
        support={"groups": {}},
        logger_differences={"dr": {"delight": NUMBER}},
        baseline_differences={"item_mean": {"delight": NUMBER}},
    )
    assert said.to_json().keys() - evidence_of().to_json().keys() == {
        "propensities",
        "support",
        "logger_differences",
        "baseline_differences",
    }
    assert "unknown_low" not in said.to_json()["baseline_differences"]["item_mean"]["delight"]
    assert Evidence.from_json(said.to_json()) == said


def test_groups_come_back_as_they_were() -> None:
    one = GroupDifference("scene", "home", 200, 40, {"delight": NUMBER})
    said = evidence_of(groups=(one,), exposure={"items": []})
    assert said.to_json().keys() - evidence_of().to_json().keys() == {"groups", "exposure"}
    again = Evidence.from_json(json.loads(json.dumps(said.to_json())))
    assert again == said
    assert again.fingerprint() == said.fingerprint()


def test_an_outlook_without_a_prediction_can_be_fingerprinted() -> None:
    """NaN has no place in JSON: the evidence could not be fingerprinted, nor judged."""
    evidence_of(outlook=Outlook(next_night=NEXT)).fingerprint()
    evidence_of(outlook=Outlook(next_night=None)).fingerprint()
    with pytest.raises(ValueError, match="JSON"):
        evidence_of(support={"mass": float("nan")}).fingerprint()


def test_a_night_has_one_role() -> None:
    with pytest.raises(ValueError, match=r"2026-11-19.*two roles"):
        evidence_of(tune_nights=("2026-11-19",))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d | {"mood": 1}, r"unknown fields \['mood'\]"),
        (lambda d: {k: v for k, v in d.items() if k != "night"}, "incomplete"),
    ],
)
def test_json_of_another_form_is_refused(change, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Evidence.from_json(change(evidence_of().to_json()))


def test_estimates_are_looked_up_by_policy_estimator_and_objective() -> None:
    found = evidence_of(logger_differences={"ips": {"like": NUMBER}})
    assert found.estimate("challenger", "dr", "delight") == NUMBER
    assert found.estimate("champion", "dr", "delight") is None
    assert found.difference("dr", "delight") == NUMBER
    assert found.difference("ips", "delight") is None
    assert found.logger_difference("ips", "like") == NUMBER
    assert found.logger_difference("ips", "delight") is None
    against = evidence_of(baseline_differences={"item_mean": {"delight": NUMBER}})
    assert against.baseline_difference("item_mean") == NUMBER
    assert against.baseline_difference("popularity") is None


def test_equal_data_have_one_text_and_one_fingerprint() -> None:
    text = '{"a":[1,2.5,null],"b":{"x":"é","y":true}}'
    data = {"b": {"y": True, "x": "é"}, "a": (1, 2.5, None)}
    assert canonical_json(data) == text
    assert fingerprint_of(data) == hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": float("inf")})
