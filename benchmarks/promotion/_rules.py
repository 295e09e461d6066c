"""The gate's own code on estimates that a world drew, and what a test over nights would decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from scipy.special import ndtr

from benchmarks.promotion._worlds import REWARD, Floats
from mrlm.evidence.anchor_comparison import AnchorComparison
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.nights.group_sequential import boundaries, error_of_a_test, power_family
from mrlm.ope.nights.spending import error_at
from mrlm.promotion.judgement.condition import lower_bound
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.settings import GateSettings

RULE = GateSettings()
GUARDRAIL, MARGIN = "guardrail", 1.0
TEST_NIGHTS = RULE.test_nights

BLANK = Evidence(
    run_key="2026-01-01-benchmark",
    night="2026-01-01",
    settings_fingerprint="",
    code_version="",
    champion_version=1,
    north_star=REWARD,
    gate_nights=("2025-12-31",),
    rows=1,
)


def verdict_on(
    star: PolicyEstimate,
    nights: int,
    guardrail: PolicyEstimate | None = None,
    anchor: AnchorComparison | None = None,
    before: int = 1,
) -> Verdict:
    """The gate's verdict on differences to the champion, and to the anchor where there is one.

    Args:
        star: north star, challenger - champion, on all nights of the test so far.
        nights: how many these are; each had its look.
        guardrail: challenger - champion; None: there is no guardrail.
        anchor: None: nothing is anchored.
        before: nights that the test before this one took.
    """
    found = {REWARD: star}
    if guardrail is not None:
        found[GUARDRAIL] = guardrail
    own: dict[str, dict[str, PolicyEstimate]] = {RULE.estimator: {REWARD: star}}
    evidence = replace(
        BLANK,
        policies={"challenger": own, "champion": own},
        differences={RULE.estimator: found},
        guardrails={} if guardrail is None else {GUARDRAIL: MARGIN},
        anchor=anchor,
    )
    looks = tuple(range(1, nights + 1))
    return judge(evidence, RULE, Look(looks, before))


def alone(star: PolicyEstimate, night: int, guardrail: PolicyEstimate | None = None) -> bool:
    """What a gate would do that judges each night alone, as this one did, and knows no anchor.

    The error of the night is its share of an endless sum (``error_at``).
    """
    if not star.certified or not lower_bound(star, error_at(night, RULE.false_promotions)) > 0:
        return False
    level = 1 - RULE.guardrail_level
    return guardrail is None or lower_bound(guardrail, level) >= -MARGIN


@cache
def levels(spending: Callable[[float, float], float] = power_family, before: int = 1) -> Floats:
    """One-sided level of each look at one challenger; ``spending``: the gate's, or another."""
    nights = range(1, TEST_NIGHTS + 1)
    error = error_of_a_test(RULE.false_promotions, TEST_NIGHTS, before)
    found: Floats = ndtr(-boundaries(nights, [spending(n / TEST_NIGHTS, error) for n in nights]))
    return found
