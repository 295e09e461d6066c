from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mrlm.evidence.anchor_comparison import Link, compare_with_anchor, sum_of_links
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from tests.evidence.found import NUMBER, evidence_of

TONIGHT = {"delight": NUMBER, "like": replace(NUMBER, value=-0.02)}
POOR = replace(NUMBER, value=0.7, certified=False, reasons=("effective sample size 12",))


def test_the_champion_that_is_the_anchor_is_measured_already() -> None:
    found = compare_with_anchor(1, None, TONIGHT, [])
    assert found.differences == TONIGHT
    assert (found.links, found.summed) == ((), ())


def test_the_same_rows_come_before_the_links() -> None:
    links = [Link(2, {"delight": NUMBER, "like": NUMBER})]
    direct = {"delight": replace(NUMBER, value=0.3), "like": POOR}
    found = compare_with_anchor(1, direct, TONIGHT, links)
    assert found.differences["delight"].value == 0.3
    assert found.summed == ("like",)
    assert found.links == (2,)
    assert found.differences["like"].value == pytest.approx(0.1 - 0.02)


def test_links_add_up_with_their_variances() -> None:
    first = PolicyEstimate(0.1, 0.03, 50.0, level=0.95, certified=True, skewness=0.5)
    second = PolicyEstimate(-0.3, 0.04, 20.0, certified=True, unknown_low=-0.01, unknown_high=0.02)
    found = sum_of_links([first, second])
    assert found is not None
    assert found.value == pytest.approx(-0.2)
    assert found.standard_error == pytest.approx(0.05)
    assert found.degrees_of_freedom == pytest.approx(0.05**4 / (0.03**4 / 50 + 0.04**4 / 20))
    assert found.skewness == pytest.approx(0.5 * 0.6**3)
    assert (found.unknown_low, found.unknown_high) == (-0.01, 0.02)
    assert found.certified
    assert found.lower is not None
    assert found.lower < -0.2 - 1.96 * 0.05 - 0.01


def test_a_sum_is_certified_where_every_part_is() -> None:
    found = sum_of_links([NUMBER, POOR])
    assert found is not None
    assert not found.certified
    assert found.reasons == POOR.reasons
    assert sum_of_links([NUMBER, None]) is None
    assert sum_of_links([NUMBER, PolicyEstimate(None)]) is None


def test_a_sum_that_is_not_certified_does_not_hide_why_the_rows_fail() -> None:
    found = compare_with_anchor(1, {"delight": POOR}, {"delight": NUMBER}, [Link(2, {})])
    assert found.differences["delight"] == POOR
    assert found.summed == ()


def test_without_a_way_from_the_anchor_there_is_no_sum() -> None:
    found = compare_with_anchor(9, None, TONIGHT, None, "version 9 is gone")
    assert (found.differences, found.unmeasured) == ({}, "version 9 is gone")


def test_evidence_keeps_it() -> None:
    compared = compare_with_anchor(1, {"delight": POOR}, TONIGHT, [Link(2, {"like": NUMBER})])
    said = evidence_of(anchor=compared)
    again = Evidence.from_json(json.loads(json.dumps(said.to_json())))
    assert again == said
    assert again.fingerprint() == said.fingerprint() != evidence_of().fingerprint()
