"""A champion that chooses too narrowly is told, with what changes that and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.promotion.judgement.narrow_champion import narrow_champion
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.settings import GateSettings
from tests.evidence.found import weight_figures

Make = Callable[..., Evidence]
RULE = GateSettings()
INITIAL = Entry("initial", "first", 1, "ada", "now", "the logger")
LARGE, SMALL = weight_figures(900.0), weight_figures(12.0)


def judged(day: int, **more: object) -> Entry:
    told = {"verdict": "refuse", "champion_version": 1, "gate_nights": (f"2026-11-{day}",), **more}
    return Entry("judged", f"2026-11-{day}-abc", day, "rule", "now", "", **told)  # type: ignore[arg-type]


def narrow(evidence: Make, needed: int | None = None) -> Evidence:
    """900 decisions of a night, of which 12 count for the challenger."""
    found = evidence(lift=0.02)
    unsure = PolicyEstimate(0.02, 0.5, 2.0, certified=False, rows_needed=needed)
    return replace(
        found,
        differences={"dr": {**found.differences["dr"], "delight": unsure}},
        diagnostics={"logger": LARGE, "challenger": SMALL},
    )


NIGHTS = (INITIAL, *map(judged, (20, 21, 22)))


def test_three_judgements_without_overlap_are_advice(evidence: Make) -> None:
    """The champion brings 0.3 a decision: 270 a night, of which a tenth is at stake."""
    found = narrow_champion(NIGHTS, lambda e: narrow(evidence), RULE)
    assert found is not None
    assert (found.champion, found.share) == (1, 0.1)
    assert (found.collected, found.estimated) == (pytest.approx(270), pytest.approx(1.8))
    told = found.in_words
    assert "the last 3 judgements could not tell" in told
    assert "'trial_share = 0.1' under [gate]" in told
    assert "costs at most 27 of a night's 270 delight" in told
    assert "changes it by +1.8" in told


def test_a_small_log_needs_a_larger_share(evidence: Make) -> None:
    small = replace(narrow(evidence), rows=400)
    for settings, share in ((RULE, 0.2), (GateSettings(test_nights=2), 0.5)):
        found = narrow_champion(NIGHTS, lambda e: small, settings)
        assert found is not None
        assert found.share == share


def test_what_a_champion_without_reward_costs_is_not_said(evidence: Make) -> None:
    none = replace(narrow(evidence), policies={})
    found = narrow_champion(NIGHTS, lambda e: none, RULE)
    assert found is not None
    assert "what that costs a night cannot be told" in found.in_words


def test_a_change_that_no_night_can_bring_is_not_told(evidence: Make) -> None:
    found = narrow(evidence)
    wild = replace(found.differences["dr"]["delight"], value=-5.0)
    heavy = replace(found, differences={"dr": {"delight": wild}})
    told = narrow_champion(NIGHTS, lambda e: heavy, RULE)
    assert told is not None
    assert told.estimated is None
    assert told.in_words.endswith("a policy that is not proven yet")


def test_nothing_is_advised_where_it_would_not_help(evidence: Make) -> None:
    without = narrow(evidence)

    def advice(
        entries: tuple[Entry, ...] = NIGHTS,
        found: Evidence | None = without,
        settings: GateSettings = RULE,
    ) -> object:
        return narrow_champion(entries, lambda e: found, settings)

    assert advice() is not None
    # Two may be an accident; and another champion, or a promotion, begins anew.
    assert advice(NIGHTS[:3]) is None
    assert advice((*NIGHTS[:3], judged(22, verdict="promote"))) is None
    assert advice((*NIGHTS, Entry("promoted", "hand", 9, "ada", "now", ""))) is None
    # Nights on which nothing was tested say nothing.
    assert advice((*NIGHTS, judged(23, gate_nights=()))) is not None
    # A person has allowed it already.
    assert advice(settings=GateSettings(trial_share=0.1)) is None
    assert advice(found=None) is None
    # The rest of the test mends it.
    assert advice(found=narrow(evidence, needed=14 * 900)) is None
    assert advice(found=narrow(evidence, needed=14 * 900 + 1)) is not None
    # The log is too small for anybody, or does for both.
    few = replace(narrow(evidence), diagnostics={"logger": SMALL, "challenger": SMALL})
    assert advice(found=few) is None
    both = replace(narrow(evidence), diagnostics={"logger": LARGE, "challenger": LARGE})
    assert advice(found=both) is None
    for short in ({"largest_weight_share": 0.5}, {"unsupported_mass": 0.1}, {"nonzero": 20}):
        one = replace(both, diagnostics={"logger": LARGE, "challenger": {**LARGE, **short}})
        assert advice(found=one) is not None
