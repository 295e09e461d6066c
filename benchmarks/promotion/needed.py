"""Is a refusal right about what would change it?

Challengers that are truly better are refused on one of the first nights of a test. Those of whom
the gate says how many decisions would show it are given so many, at the level of the test's last
look. The count should be right for 80 % of them: it promises that for a truth no further than a
standard error below the estimate. In one world all are better by one standard error of a night, in
the others their true differences are drawn. Beside it the count that takes the estimate at its
word. 200,000 challengers; quick: 20,000.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from benchmarks.promotion._rules import RULE
from benchmarks.promotion._worlds import Floats
from benchmarks.promotion.schedule import WORLDS
from benchmarks.rows import Row
from mrlm.promotion.judgement.levels import last_level, look_level
from mrlm.promotion.judgement.needed import rows_to_pass

MANY, QUICK_MANY = 200_000, 20_000
LOOKS = (1, 3, 7)
RIGHT = 0.8
PLANTED = {"all better by one": (1.0, 0.0)}
_ROWS = 1000


def run(quick: bool) -> list[Row]:
    """Share of the told counts that are right, of each world and look."""
    rows = []
    for world, (mean, spread) in {**PLANTED, **WORLDS}.items():
        for look in LOOKS:
            ours, plain, told = shares(mean, spread, look, QUICK_MANY if quick else MANY)
            planted = world in PLANTED
            rows.append(
                Row(
                    f"{world}, refused on night {look}: counts of decisions that are right",
                    ours,
                    plain,
                    f">= {RIGHT:g}" if planted else "",
                    ours >= RIGHT if planted else None,
                    f"told to {told:.0%} of those refused; peer: the estimate at its word",
                )
            )
    return rows


def shares(mean: float, spread: float, look: int, many: int) -> tuple[float, float, float]:
    """Shares that pass after the told count, after the plain count, and that are told one."""
    rng = np.random.default_rng([look, 5])
    true = mean + spread * rng.normal(size=many)
    total = true * look + np.sqrt(look) * rng.normal(size=many)
    level = look_level(tuple(range(1, look + 1)), RULE.test_nights, RULE.false_promotions)
    refused = (true > 0) & (total > 0) & (total / np.sqrt(look) <= -ndtri(level))
    true, estimate = true[refused], total[refused] / look
    error, last = 1 / np.sqrt(look), last_level(RULE.test_nights, RULE.false_promotions, 1)
    found = [rows_to_pass(_ROWS * look, e, error, last) for e in estimate]
    told = np.array([x is not None for x in found])
    nights = np.array([x / _ROWS for x in found if x is not None])
    plain = np.maximum(((-ndtri(last) + ndtri(RIGHT)) / estimate) ** 2, look)
    ours = _passes(rng, true[told], estimate[told], look, nights, last)
    return ours, _passes(rng, true, estimate, look, plain, last), float(told.mean())


def _passes(
    rng: np.random.Generator,
    true: Floats,
    estimate: Floats,
    look: int,
    nights: Floats,
    level: float,
) -> float:
    """Share whose statistic passes after so many nights in all, the first ones being those seen."""
    more = nights - look
    total = estimate * look + true * more + np.sqrt(more) * rng.normal(size=len(true))
    return float((total / np.sqrt(nights) > -ndtri(level)).mean())
