"""What a year of tests brings under several schedules, all with the same bound on wrong promotions.

Every challenger's true difference to the champion is drawn anew, in standard errors of one night;
the gain of a year is the sum over promotions. A test takes at most 14 nights. ``gate`` ends it as
the gate does, where the estimate is not above 0 or the last look seems out of reach, and a test has
the error that the nights of the test before it have earned. ``even`` is the same with 1 / 365 for
every test, for one may begin each night. ``sign`` is the gate without the second reason to end,
``softer`` ends none at its first look, ``harder`` ends at the first look whoever is not half a
standard error above 0. ``full`` takes all 14 nights unless it promotes, so only 27 tests fit into a
year and each has 1 / 27. ``alone`` judges every night's own challenger at a share of an endless
sum.

``forfeited`` gives every test 1 / 27 and ends it like ``gate``, counting as spent only what the
boundaries had spent by then. That is no bound: tests that go on are those that use the error.

Wrong promotions are counted in years of challengers that are as good as the champion; of the gate
also where neighbouring nights share six of seven days, as those of a reward of the week that
follows do: a test's nights then tell something of the next one's. 20,000 years; quick: 1,000.

What ending early costs one challenger: the share of tests that promote one which a test of all its
nights promotes with probability 80 % (``drift``), where its lift is the same every night and where
it varies from night to night by as much as it is. The first is compared with the exact probability.
The test before took one night, and in the last share all it could.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.promotion._rules import RULE, TEST_NIGHTS, levels, verdict_on
from benchmarks.promotion._worlds import NIGHTS, Floats
from benchmarks.promotion.power import POWER, drift
from benchmarks.rows import Row
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.nights.group_sequential import boundaries, power_family
from mrlm.ope.nights.spending import error_at

YEARS, QUICK_YEARS = 20_000, 1000
TESTS = 20_000
WORLDS = {"mostly worse": (-1.0, 1.0), "as often better": (0.0, 1.0), "a little better": (0.5, 0.5)}
GATE, NO_BOUND = "gate", "forfeited"
WEEK = 7


@dataclass(frozen=True)
class Schedule:
    """How tests of a year follow one another.

    Attributes:
        bounds: what the statistic must pass, by the nights of the test before, from 1, and by the
            night of the test, shape (``TEST_NIGHTS``, ``TEST_NIGHTS``); None: ``alone``.
        ends: statistic below which a test ends before its time, of the same shape; -inf: never.
    """

    bounds: Floats | None
    ends: Floats


@cache
def schedules() -> dict[str, Schedule]:
    """By name."""
    nights = range(1, TEST_NIGHTS + 1)
    earned = np.array([-ndtri(levels(before=before)) for before in nights])
    each = RULE.false_promotions / NIGHTS
    even = boundaries(nights, [power_family(n / TEST_NIGHTS, each) for n in nights])
    ends, never = ends_early(), np.full(earned.shape, -np.inf)
    softer, harder = ends.copy(), ends.copy()
    softer[:, 0], harder[:, 0] = -np.inf, np.maximum(ends[:, 0], 0.5)
    return {
        GATE: Schedule(earned, ends),
        "even": Schedule(_whatever_before(even), _whatever_before(ends[0])),
        "sign": Schedule(earned, np.zeros(ends.shape)),
        "softer": Schedule(earned, softer),
        "harder": Schedule(earned, harder),
        "full": Schedule(_whatever_before(earned[-1]), never),
        NO_BOUND: Schedule(_whatever_before(earned[-1]), _whatever_before(ends[-1])),
        "alone": Schedule(None, never),
    }


def _whatever_before(by_night: Floats) -> Floats:
    return np.tile(by_night, (TEST_NIGHTS, 1))


def ends_early() -> Floats:
    """Statistic below which the gate ends a test, by its own verdicts; see ``Schedule.ends``."""
    found = np.full((TEST_NIGHTS, TEST_NIGHTS), -np.inf)
    for before in range(1, TEST_NIGHTS + 1):
        bounds = -ndtri(levels(before=before))
        for nights in range(1, TEST_NIGHTS):
            error, low, high = 1 / np.sqrt(nights), 0.0, bounds[nights - 1] - 0.1
            for _ in range(16):
                middle = (low + high) / 2
                star = PolicyEstimate(middle * error, error, 1e9, certified=True)
                going = verdict_on(star, nights, before=before).goes_on
                low, high = (low, middle) if going else (middle, high)
            found[before - 1, nights - 1] = high
    return found


def run(quick: bool) -> list[Row]:
    """Gain of a year in each world, and wrong promotions where nobody is better."""
    many = QUICK_YEARS if quick else YEARS
    found = schedules()
    rows = [_gain(world, found, many) for world in WORLDS]
    rows += [_wrong(name, found[name], many) for name in found if name != "alone"]
    rows.append(_wrong(f"{GATE}, nights share days", found[GATE], many, WEEK))
    return [*rows, *_power_rows(found, TESTS if quick else 10 * TESTS)]


def _gain(world: str, found: dict[str, Schedule], many: int) -> Row:
    told = {name: year_of(s, *WORLDS[world], many) for name, s in found.items() if name != NO_BOUND}
    gains = {name: float(gain.mean()) for name, (gain, _) in told.items()}
    best = max((name for name in gains if name != GATE), key=lambda name: gains[name])
    words = ", ".join(
        f"{name} {gains[name]:.2f} ({promoted.mean():.1f})" for name, (_, promoted) in told.items()
    )
    return Row(
        f"challengers {world}: gain of a year, standard errors of a night",
        gains[GATE],
        gains[best],
        note=f"{many} years; gain (promotions): {words}; peer: the best of the others, {best}",
    )


def _wrong(name: str, schedule: Schedule, many: int, week: int = 1) -> Row:
    wrong = float((year_of(schedule, 0.0, 0.0, many, week)[1] > 0).mean())
    most = RULE.false_promotions + 2.3 * math.sqrt(0.05 * 0.95 / many)
    return Row(
        f"{name}: share of years with a wrong promotion",
        wrong,
        bar=f"<= {most:.4f}",
        holds=wrong <= most,
        note=f"{many} years of challengers that are as good as the champion",
    ).where(name != NO_BOUND)


def _power_rows(found: dict[str, Schedule], many: int) -> list[Row]:
    """Share of a better challenger's tests that promote it, ended early and not."""
    gate = found[GATE]
    whole = Schedule(gate.bounds, np.full(gate.ends.shape, -np.inf))
    rows = []
    for varying, words in ((0.0, "the same every night"), (1.0, "varying by night")):
        told = {
            name: power_of(found[name], drift(), varying, many)
            for name in (GATE, "sign", "softer", "harder")
        }
        share, looks, first = told[GATE]
        to_the_end = power_of(whole, drift(), varying, many)
        funded = power_of(gate, drift(), varying, many, before=TEST_NIGHTS)
        exact = f", exact {POWER:.3f}" if varying == 0 else ""
        others = ", ".join(f"{name} {t[0]:.3f}" for name, t in told.items() if name != GATE)
        rows.append(
            Row(
                f"a better challenger, lift {words}: share of tests that promote it",
                share,
                to_the_end[0],
                note=f"{many:,} tests; looks a test: {looks:.1f}, peer {to_the_end[1]:.1f}; peer: "
                f"no test is ended before its nights{exact}; {others}; of what ending costs the "
                f"first look takes {first:.0%}; after a test of all its nights {funded[0]:.3f}",
            )
        )
    return rows


def power_of(
    schedule: Schedule, gain: float, varying: float, tests: int, before: int = 1
) -> tuple[float, float, float]:
    """Share of tests that promote, looks a test, and the first look's part of what ending costs.

    Args:
        schedule: with bounds.
        gain: true difference of a night, in its standard errors.
        varying: standard deviation of the nights' differences, in gains.
        tests: to draw.
        before: nights that the test before each of them took.
    """
    if schedule.bounds is None:
        raise ValueError("a schedule without bounds has no test of several nights")
    rng = np.random.default_rng(13)
    each = gain * (1 + varying * rng.normal(size=(tests, TEST_NIGHTS)))
    total = np.cumsum(each + rng.normal(size=each.shape), axis=1)
    statistic = total / np.sqrt(np.arange(1, TEST_NIGHTS + 1))
    passed = _first(statistic > schedule.bounds[before - 1])
    ended = _first(statistic <= schedule.ends[before - 1])
    lost = (ended < passed) & (passed < TEST_NIGHTS)
    promoted = (passed < TEST_NIGHTS) & ~lost
    looks = np.minimum(np.minimum(passed, ended) + 1, TEST_NIGHTS)
    first = float((ended[lost] == 0).mean()) if lost.any() else 0.0
    return float(promoted.mean()), float(looks.mean()), first


def _first(where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Place of the first True of each row; ``TEST_NIGHTS`` where there is none."""
    return np.where(where.any(axis=1), where.argmax(axis=1), TEST_NIGHTS)


def year_of(
    schedule: Schedule, mean: float, spread: float, years: int, week: int = 1
) -> tuple[Floats, Floats]:
    """Gain and promotions of every year, float64, shape (years,).

    Args:
        schedule: of the tests.
        mean: of the challengers' true differences, in standard errors of a night.
        spread: their standard deviation.
        years: to draw.
        week: days that a night's noise is the mean of, all but one of them shared with the next.
    """
    rng = np.random.default_rng(11)
    true = mean + spread * rng.normal(size=years)
    total, nights, before = np.zeros(years), np.zeros(years, np.int64), np.ones(years, np.int64)
    gain, promotions = np.zeros(years), np.zeros(years)
    variance = _variance(week)
    for night, noise in zip(range(1, NIGHTS + 1), _noise(rng, years, week), strict=False):
        total, nights = total + true + noise, nights + 1
        statistic = total / np.sqrt(variance[nights - 1])
        if schedule.bounds is None:
            passed = statistic > -ndtri(error_at(night, RULE.false_promotions))
            ended = np.ones(years, np.bool_)
        else:
            passed = statistic > schedule.bounds[before - 1, nights - 1]
            ended = passed | (nights == TEST_NIGHTS)
            ended |= statistic <= schedule.ends[before - 1, nights - 1]
        gain += np.where(passed, true, 0.0)
        promotions += passed
        true = np.where(ended, mean + spread * rng.normal(size=years), true)
        before = np.where(ended, nights, before)
        total, nights = np.where(ended, 0.0, total), np.where(ended, 0, nights)
    return gain, promotions


def _noise(rng: np.random.Generator, years: int, week: int) -> Iterator[Floats]:
    """Of one night after another, of variance 1: the mean of so many days, the last its own."""
    days = math.sqrt(week) * rng.normal(size=(week, years))
    for night in count():
        yield days.mean(axis=0)
        days[night % week] = math.sqrt(week) * rng.normal(size=years)


def _variance(week: int) -> Floats:
    """Of the noise of 1, 2, ... nights in a row, shape (``TEST_NIGHTS``,)."""
    counted = [np.convolve(np.ones(n + 1), np.ones(week)) for n in range(TEST_NIGHTS)]
    return np.array([(c**2).sum() / week for c in counted])
