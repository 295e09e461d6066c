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
from mrlm.ope.intervals import Estimate, ends
from mrlm.ope.nights.group_sequential import boundaries, error_of_a_test, obrien_fleming
from mrlm.promotion.judgement.gate import Verdict, judge
from mrlm.promotion.settings import GateSettings

RULE = GateSettings()
GUARDRAIL, MARGIN = "guardrail", 1.0
# Nights that one challenger is tested on at most.
TEST_NIGHTS = 14
# A level below this is never reached: the look is passed over.
_LEAST_LEVEL = 1e-12

_BLANK = Evidence(
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
    look: int,
    guardrail: PolicyEstimate | None = None,
    anchor: AnchorComparison | None = None,
    anchored_look: int = 1,
) -> Verdict:
    """The gate's verdict on differences to the champion, and to the anchor where there is one.

    Args:
        star: north star, challenger - champion.
        look: of the north star.
        guardrail: challenger - champion; None: there is no guardrail.
        anchor: None: nothing is anchored.
        anchored_look: see ``judge``.
    """
    found = {REWARD: star}
    if guardrail is not None:
        found[GUARDRAIL] = guardrail
    own = {RULE.estimator: {REWARD: star}}
    evidence = replace(
        _BLANK,
        policies={"challenger": own, "champion": own},
        differences={RULE.estimator: found},
        guardrails={} if guardrail is None else {GUARDRAIL: MARGIN},
        anchor=anchor,
    )
    return judge(evidence, RULE, look, anchored_look=anchored_look)


@cache
def levels(spending: Callable[[float, float], float] = obrien_fleming) -> Floats:
    """One-sided level of each look at a challenger that gathers evidence; of one test."""
    nights = range(1, TEST_NIGHTS + 1)
    error = error_of_a_test(RULE.false_promotions, TEST_NIGHTS)
    found: Floats = ndtr(-boundaries(nights, [spending(n / TEST_NIGHTS, error) for n in nights]))
    return found


def passes(estimate: Estimate, level: float) -> bool:
    """Whether a certified estimate's one-sided lower bound at the level is above 0."""
    if level < _LEAST_LEVEL or not estimate.certified:
        return False
    lower, _ = ends(
        estimate.value,
        estimate.standard_error,
        estimate.degrees_of_freedom,
        estimate.skewness,
        1 - level,
    )
    return lower > 0
