"""A year of nightly gates in eight kinds of world: wrong promotions, and those of a better one.

Challengers are truly as good as the champion (then any promotion is wrong), or 5 % better. The gate
tests one at a time on all nights since it came, through ``estimates`` and ``judge``, until it is
promoted or the gate ends the test. Beside it every night judges its own challenger, at a share of
an endless sum of error, as the gate did before tests went over several nights. Nights are drawn as
sums by user, up to 500 users.

200 years of each kind, 20 with the better challenger; quick: 6 and 2.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.stats import binom

from benchmarks.promotion._finished import finished
from benchmarks.promotion._rules import RULE, alone, verdict_on
from benchmarks.promotion._worlds import KINDS, NIGHTS, REWARD, Year, year
from benchmarks.rows import Row
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope import estimates

YEARS, QUICK_YEARS = 200, 6
BETTER_YEARS, QUICK_BETTER_YEARS = 20, 2
BETTER = 0.05
_TOGETHER = 2

Promotions = dict[str, list[int]]
"""Rule to the nights, from 1, on which it promoted in a year."""


def run(quick: bool) -> list[Row]:
    """Of each kind, years with a wrong promotion, and with a promotion of the better one."""
    same, better = (QUICK_YEARS, QUICK_BETTER_YEARS) if quick else (YEARS, BETTER_YEARS)
    rows = []
    for kind in KINDS:
        rows.append(_wrong(kind, _years(kind, 0.0, same)))
        rows.append(_power(kind, _years(kind, BETTER, better)))
    return rows


def _years(kind: str, lift: float, many: int) -> list[Promotions]:
    kept = finished(__name__)
    return [
        found
        for first in range(0, many, _TOGETHER)
        for found in kept.of([kind, str(lift), first], partial(_some, kind, lift, first))
    ]


def _some(kind: str, lift: float, first: int) -> list[Promotions]:
    return [cell(kind, lift, number) for number in range(first, first + _TOGETHER)]


def cell(kind: str, lift: float, number: int, nights: int = NIGHTS) -> Promotions:
    """One year: the nights on which each rule promoted."""
    seed = [number, list(KINDS).index(kind), int(lift > 0)]
    drawn = year(KINDS[kind], lift, np.random.default_rng(seed), nights)
    single = [_estimate(drawn, night - 1, night) for night in range(1, nights + 1)]
    return {"gate": gated(drawn, single), "alone": nightly(single)}


def gated(drawn: Year, single: list[PolicyEstimate]) -> list[int]:
    """The gate: one challenger at a time, on all nights since it came."""
    promoted, first, before = [], 0, 1
    for night in range(1, len(single) + 1):
        nights = night - first
        found = _estimate(drawn, first, night) if nights > 1 else single[night - 1]
        verdict = verdict_on(found, nights, before=before)
        if verdict.promote:
            promoted.append(night)
        if not verdict.goes_on:
            first, before = night, nights
    return promoted


def nightly(single: list[PolicyEstimate]) -> list[int]:
    """Each night judges its own challenger."""
    return [night for night, found in enumerate(single, start=1) if alone(found, night)]


def _estimate(drawn: Year, first: int, last: int) -> PolicyEstimate:
    found = estimates(drawn.state(first, last), RULE.level, RULE.thresholds())[REWARD]
    return PolicyEstimate.of(found)


def _wrong(kind: str, years: list[Promotions]) -> Row:
    wrong, beside = (_with_promotion(years, rule) for rule in ("gate", "alone"))
    most = int(binom.ppf(0.99, len(years), RULE.false_promotions))
    return Row(
        f"{kind}: years with a wrong promotion",
        wrong,
        beside,
        f"at most {most} of {len(years)}",
        wrong <= most,
        f"{NIGHTS} nights a year, the first look on the first; peer: every night alone",
    )


def _power(kind: str, years: list[Promotions]) -> Row:
    told = {rule: [y[rule] for y in years] for rule in ("gate", "alone")}
    words = [
        f"{rule}: first on night {_median([n[0] if n else NIGHTS for n in nights]):.0f}, "
        f"{np.mean([len(n) for n in nights]):.1f} a year"
        for rule, nights in told.items()
    ]
    return Row(
        f"{kind}: share of years in which a challenger of {BETTER:+.0%} is promoted",
        _with_promotion(years, "gate") / len(years),
        _with_promotion(years, "alone") / len(years),
        note=f"{len(years)} years; median night of the first ({NIGHTS}: none), and promotions; "
        + "; ".join(words),
    )


def _with_promotion(years: list[Promotions], rule: str) -> int:
    return sum(bool(y[rule]) for y in years)


def _median(values: list[Any]) -> float:
    return float(np.median(values))
