"""What a year of tests brings under several schedules, all with the same bound on wrong promotions.

Every challenger's true difference to the champion is drawn anew, in standard errors of one night;
the gain of a year is the sum over promotions. A test takes at most 14 nights. ``gate`` ends it as
the gate does, where the estimate is not above 0 or the last look seems out of reach, and every test
has 1 / 365 of the error, for one may begin each night; ``sign`` is the same without the second
rule. ``full`` takes all 14 nights unless it promotes, so only 27 tests fit into a year and each
has 1 / 27. ``alone`` judges every night's own challenger at a share of an endless sum.

``forfeited`` gives every test 1 / 27 and ends it like ``gate``, counting as spent only what the
boundaries had spent by then. That is no bound: tests that go on are those that use the error. Its
share of years with a wrong promotion is printed beside the gate's. 2,000 years; quick: 400.

What ending early costs one challenger: the share of tests that promote one which a test of all its
nights promotes with probability 80 % (``drift``), where its lift is the same every night and where
it varies from night to night by as much as it is. The first is compared with the exact probability.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.promotion._rules import RULE, TEST_NIGHTS, levels, verdict_on
from benchmarks.promotion._worlds import NIGHTS, Floats
from benchmarks.promotion.power import POWER, drift
from benchmarks.rows import Row
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.nights.group_sequential import boundaries, error_of_a_test, power_family
from mrlm.ope.nights.spending import error_at

YEARS, QUICK_YEARS = 2000, 400
TESTS = 20_000
WORLDS = {"mostly worse": (-1.0, 1.0), "as often better": (0.0, 1.0), "a little better": (0.5, 0.5)}


@dataclass(frozen=True)
class Schedule:
    """How tests of a year follow one another.

    Attributes:
        bounds: what the statistic must pass on each night of a test; None: ``alone``.
        ends: statistic on each night of a test below which it ends before its time; None: it never
            does.
    """

    bounds: Floats | None
    ends: Floats | None


def schedules() -> dict[str, Schedule]:
    """By name."""
    nights = range(1, TEST_NIGHTS + 1)
    error = error_of_a_test(RULE.false_promotions, TEST_NIGHTS)
    few = boundaries(nights, [power_family(n / TEST_NIGHTS, error) for n in nights])
    own, sign = -ndtri(levels()), np.zeros(TEST_NIGHTS)
    return {
        "gate": Schedule(own, ends_early()),
        "sign": Schedule(own, sign),
        "full": Schedule(few, None),
        "forfeited": Schedule(few, ends_early()),
        "alone": Schedule(None, None),
    }


def ends_early() -> Floats:
    """Statistic at each look below which the gate ends a test, by the gate's own verdicts."""
    found = np.zeros(TEST_NIGHTS)
    for nights in range(1, TEST_NIGHTS):
        error, low, high = 1 / np.sqrt(nights), 0.0, -ndtri(levels()[nights - 1]) - 0.1
        for _ in range(30):
            middle = (low + high) / 2
            star = PolicyEstimate(middle * error, error, 1e9, certified=True)
            going = verdict_on(star, nights).goes_on
            low, high = (low, middle) if going else (middle, high)
        found[nights - 1] = high
    return found


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
    for name in ("gate", "sign", "full", "forfeited"):
        wrong = float((year_of(found[name], 0.0, 0.0, many)[1] > 0).mean())
        bar = name != "forfeited"
        most = RULE.false_promotions + 2.3 * math.sqrt(0.05 * 0.95 / many)
        rows.append(
            Row(
                f"{name}: share of years with a wrong promotion",
                wrong,
                bar=f"<= {most:.3f}",
                holds=wrong <= most,
                note=f"{many} years of challengers that are as good as the champion",
            ).where(bar)
        )
    return [*rows, *_power_rows(found, TESTS if quick else 10 * TESTS)]


def _power_rows(found: dict[str, Schedule], many: int) -> list[Row]:
    """Share of a better challenger's tests that promote it, ended early and not."""
    gate = found["gate"]
    compared = {"gate": gate, "sign": found["sign"], "to the end": Schedule(gate.bounds, None)}
    rows = []
    for varying, words in ((0.0, "the same every night"), (1.0, "varying by night")):
        told = {name: power_of(s, drift(), varying, many) for name, s in compared.items()}
        (share, looks, first), whole = told["gate"], told["to the end"]
        exact = f", exact {POWER:.3f}" if varying == 0 else ""
        rows.append(
            Row(
                f"a better challenger, lift {words}: share of tests that promote it",
                share,
                whole[0],
                note=f"{many:,} tests; looks a test: {looks:.1f}, peer {whole[1]:.1f}; peer: no "
                f"test is ended before its nights{exact}; ended by the sign alone "
                f"{told['sign'][0]:.3f}; of what ending costs the first look takes {first:.0%}",
            )
        )
    return rows


def power_of(
    schedule: Schedule, gain: float, varying: float, tests: int
) -> tuple[float, float, float]:
    """Share of tests that promote, looks a test, and the first look's part of what ending costs.

    Args:
        schedule: with bounds.
        gain: true difference of a night, in its standard errors.
        varying: standard deviation of the nights' differences, in gains.
        tests: to draw.
    """
    if schedule.bounds is None:
        raise ValueError("a schedule without bounds has no test of several nights")
    rng = np.random.default_rng(13)
    each = gain * (1 + varying * rng.normal(size=(tests, TEST_NIGHTS)))
    total = np.cumsum(each + rng.normal(size=each.shape), axis=1)
    statistic = total / np.sqrt(np.arange(1, TEST_NIGHTS + 1))
    passed = _first(statistic > schedule.bounds)
    ended = np.full(tests, TEST_NIGHTS)
    if schedule.ends is not None:
        ended = _first(statistic <= schedule.ends)
    lost = (ended < passed) & (passed < TEST_NIGHTS)
    promoted = (passed < TEST_NIGHTS) & ~lost
    looks = np.minimum(np.minimum(passed, ended) + 1, TEST_NIGHTS)
    first = float((ended[lost] == 0).mean()) if lost.any() else 0.0
    return float(promoted.mean()), float(looks.mean()), first


def _first(where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Place of the first True of each row; ``TEST_NIGHTS`` where there is none."""
    return np.where(where.any(axis=1), where.argmax(axis=1), TEST_NIGHTS)


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
            ended = passed | (nights == TEST_NIGHTS)
            if schedule.ends is not None:
                ended |= total / np.sqrt(nights) <= schedule.ends[nights - 1]
        gain += np.where(passed, true, 0.0)
        promotions += passed
        true = np.where(ended, mean + spread * rng.normal(size=years), true)
        total, nights = np.where(ended, 0.0, total), np.where(ended, 0, nights)
    return gain, promotions
