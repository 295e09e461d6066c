"""A judgement that is made again from what was kept."""

from __future__ import annotations

import pytest

from mrlm.promotion.judgement.judged_again import judged_again
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.settings import GateSettings

NIGHT = "2026-11-20/abc"


def test_the_verdict_is_the_same_to_the_last_character(place: RegistryPlace, judged: None) -> None:
    found = judged_again(place, NIGHT, GateSettings())
    assert found.differences == ()
    assert found.verdict.promote
    assert found.verdict.reason == found.entry.reason


def test_another_rule_gives_another_verdict_and_says_so(place: RegistryPlace, judged: None) -> None:
    strict = GateSettings(guardrail_level=0.999999, min_effective_sample_size=1e9)
    found = judged_again(place, NIGHT, strict)
    assert found.differences
    assert all(d.startswith(("verdict: ", "reason: ")) for d in found.differences)


def test_what_was_not_judged_cannot_be_judged_again(place: RegistryPlace, judged: None) -> None:
    with pytest.raises(ValueError, match="no judgement"):
        judged_again(place, "2026-11-21/abc", GateSettings())
