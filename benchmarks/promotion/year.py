"""A year of nightly gates in eight kinds of world: wrong promotions, and those of a better one.

Every night brings a challenger that is truly as good as the champion (then any promotion is
wrong), or 5 % better. The gate judges each on its own night, through ``estimates`` and ``judge``.
Beside it stands a design that gathers evidence: one challenger is tested on up to 14 nights
together, against the boundaries of ``mrlm.ope.nights.group_sequential``, at an even share of the
year's error; a promotion gives its share back to the next test. Nights are drawn as sums by user,
up to 500 users.

200 years of each kind, 40 with the better challenger; quick: 6 and 2.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.stats import binom

from benchmarks.promotion._finished import finished
from benchmarks.promotion._rules import RULE, TEST_NIGHTS, levels, passes, verdict_on
from benchmarks.promotion._worlds import KINDS, NIGHTS, REWARD, Year, year
from benchmarks.rows import Row
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope import Estimate, estimates

YEARS, QUICK_YEARS = 200, 6
BETTER_YEARS, QUICK_BETTER_YEARS = 40, 2
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
    return {"gate": nightly(drawn, nights), "spending": gathering(drawn, nights)}


def nightly(drawn: Year, nights: int) -> list[int]:
    """The gate: each night judges its own challenger."""
    return [
        night
        for night in range(1, nights + 1)
        if verdict_on(PolicyEstimate.of(_estimate(drawn, night - 1, night)), night).promote
    ]


def gathering(drawn: Year, nights: int) -> list[int]:
    """One challenger at a time, on all nights since it came, at most ``TEST_NIGHTS``."""
    level = levels()
    promoted, first = [], 0
    for night in range(nights):
        if passes(_estimate(drawn, first, night + 1), level[night - first]):
            promoted.append(night + 1)
            first = night + 1
        elif night + 1 - first == TEST_NIGHTS:
            first = night + 1
    return promoted


def _estimate(drawn: Year, first: int, last: int) -> Estimate:
    return estimates(drawn.state(first, last), RULE.level, RULE.thresholds())[REWARD]


def _wrong(kind: str, years: list[Promotions]) -> Row:
    wrong, beside = (_with_promotion(years, rule) for rule in ("gate", "spending"))
    most = int(binom.ppf(0.99, len(years), RULE.false_promotions))
    return Row(
        f"{kind}: years with a wrong promotion",
        wrong,
        beside,
        f"at most {most} of {len(years)}",
        wrong <= most,
        f"{NIGHTS} nights a year, the first look on the first; peer: one challenger tested on up "
        f"to {TEST_NIGHTS} nights",
    )


def _power(kind: str, years: list[Promotions]) -> Row:
    told = {rule: [y[rule] for y in years] for rule in ("gate", "spending")}
    words = [
        f"{rule}: first on night {_median([n[0] if n else NIGHTS for n in nights]):.0f}, "
        f"{np.mean([len(n) for n in nights]):.1f} a year"
        for rule, nights in told.items()
    ]
    return Row(
        f"{kind}: share of years in which a challenger of {BETTER:+.0%} is promoted",
        _with_promotion(years, "gate") / len(years),
        _with_promotion(years, "spending") / len(years),
        note=f"{len(years)} years; median night of the first ({NIGHTS}: none), and promotions; "
        + "; ".join(words),
    )


def _with_promotion(years: list[Promotions], rule: str) -> int:
    return sum(bool(y[rule]) for y in years)


def _median(values: list[Any]) -> float:
    return float(np.median(values))
