"""What a year of tests brings under several schedules, all with the same bound on wrong promotions.

Every challenger's true difference to the champion is drawn anew, in standard errors of one night;
the gain of a year is the sum over promotions. A test takes at most 14 nights. ``gate`` ends it as
soon as the estimate is not above 0, and every test has 1 / 365 of the error, for one may begin each
night. ``full`` takes all 14 nights unless it promotes, so only 27 tests fit into a year and each
has 1 / 27. ``alone`` judges every night's own challenger at a share of an endless sum.

``forfeited`` gives every test 1 / 27 and ends it like ``gate``, counting as spent only what the
boundaries had spent by then. That is no bound: tests that go on are those that use the error. Its
share of years with a wrong promotion is printed beside the gate's. 2,000 years; quick: 400.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from benchmarks.promotion._rules import RULE, TEST_NIGHTS, levels
from benchmarks.promotion._worlds import NIGHTS, Floats
from benchmarks.rows import Row
from mrlm.ope.nights.group_sequential import boundaries, error_of_a_test, power_family
from mrlm.ope.nights.spending import error_at

YEARS, QUICK_YEARS = 2000, 400
WORLDS = {"mostly worse": (-1.0, 1.0), "as often better": (0.0, 1.0), "a little better": (0.5, 0.5)}


@dataclass(frozen=True)
class Schedule:
    """How tests of a year follow one another.

    Attributes:
        bounds: what the statistic must pass on each night of a test; None: ``alone``.
        early: whether a test ends where its estimate is not above 0.
    """

    bounds: Floats | None
    early: bool


def schedules() -> dict[str, Schedule]:
    """By name."""
    nights = range(1, TEST_NIGHTS + 1)
    error = error_of_a_test(RULE.false_promotions, TEST_NIGHTS)
    few = boundaries(nights, [power_family(n / TEST_NIGHTS, error) for n in nights])
    return {
        "gate": Schedule(-ndtri(levels()), early=True),
        "full": Schedule(few, early=False),
        "forfeited": Schedule(few, early=True),
        "alone": Schedule(None, early=False),
    }


def run(quick: bool) -> list[Row]:
    """Gain of a year in each world, and wrong promotions where nobody is better."""
    many = QUICK_YEARS if quick else YEARS
    found = schedules()
    rows = []
    for world, (mean, spread) in WORLDS.items():
        told = {name: year_of(s, mean, spread, many) for name, s in found.items()}
        valid = {name: float(gain.mean()) for name, (gain, _) in told.items()}
        best = max(valid["full"], valid["alone"])
        words = ", ".join(
            f"{name} {valid[name]:.2f} ({promoted.mean():.1f})"
            for name, (_, promoted) in told.items()
            if name != "forfeited"
        )
        rows.append(
            Row(
                f"challengers {world}: gain of a year, standard errors of a night",
                valid["gate"],
                best,
                note=f"{many} years; gain (promotions): {words}; peer: the better of the others",
            )
        )
    for name in ("gate", "full", "forfeited"):
        wrong = float((year_of(found[name], 0.0, 0.0, many)[1] > 0).mean())
        bar = name != "forfeited"
        most = RULE.false_promotions + 2.3 * np.sqrt(0.05 * 0.95 / many)
        rows.append(
            Row(
                f"{name}: share of years with a wrong promotion",
                wrong,
                bar=f"<= {most:.3f}",
                holds=wrong <= most,
                note=f"{many} years of challengers that are as good as the champion",
            ).where(bar)
        )
    return rows


def year_of(schedule: Schedule, mean: float, spread: float, years: int) -> tuple[Floats, Floats]:
    """Gain and promotions of every year, float64, shape (years,)."""
    rng = np.random.default_rng(11)
    true = mean + spread * rng.normal(size=years)
    total, nights = np.zeros(years), np.zeros(years, np.int64)
    gain, promotions = np.zeros(years), np.zeros(years)
    for night in range(1, NIGHTS + 1):
        total, nights = total + true + rng.normal(size=years), nights + 1
        if schedule.bounds is None:
            passed = total > -ndtri(error_at(night, RULE.false_promotions))
            ended = np.ones(years, np.bool_)
        else:
            passed = total / np.sqrt(nights) > schedule.bounds[nights - 1]
            ended = passed | (nights == TEST_NIGHTS) | (schedule.early & (total <= 0))
        gain += np.where(passed, true, 0.0)
        promotions += passed
        true = np.where(ended, mean + spread * rng.normal(size=years), true)
        total, nights = np.where(ended, 0.0, total), np.where(ended, 0, nights)
    return gain, promotions
