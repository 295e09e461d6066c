"""What a year of trials brings where the champion's own log tells hardly anything of a challenger.

A test begins on the log of a narrow champion. Its first two nights, which the trial did not serve
yet, tell a fiftieth of what each night of the trial will, a tenth, or a third. ``gate`` ends a test
as the gate does, by its own verdicts: while little is told, only where it looks hopeless. ``sign``
also ends it wherever the estimate is not above 0, on a log of which the sign is a coin's; ``never``
takes all 14 nights unless it promotes. The true difference of every challenger is drawn anew, in
standard errors of a night of the trial; the gain of a year is the sum over promotions. What trials
themselves brought users is beside it, for the half that they chose.

Wrong promotions are counted in years of challengers that are as good as the champion. 10,000 years;
quick: 1,000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.promotion._rules import BLANK, RULE, TEST_NIGHTS
from benchmarks.promotion._worlds import NIGHTS, REWARD, Floats
from benchmarks.promotion.schedule import WORLDS
from benchmarks.rows import Row
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.nights.group_sequential import boundaries, error_of_a_test, power_family
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.look import Look

YEARS, QUICK_YEARS = 10_000, 1000
# Nights of a test before the first that the trial serves is final.
UNSERVED = 2
TOLD = {"a fiftieth": 0.02, "a tenth": 0.1, "a third": 1 / 3}
TRIAL = RULE.model_copy(update={"trial_share": 0.5})
GATE, SIGN, NEVER = "gate", "sign", "never"


@dataclass(frozen=True)
class Year:
    """Years of tests, one after another.

    Attributes:
        gain: sum of the true differences of what was promoted, float64, shape (years,).
        promotions: of each year, same shape.
        served: what trials brought, summed over nights, same shape.
    """

    gain: Floats
    promotions: Floats
    served: Floats


def run(quick: bool) -> list[Row]:
    """Gain of a year in each world, and wrong promotions where nobody is better."""
    many = QUICK_YEARS if quick else YEARS
    rows = []
    for told, early in TOLD.items():
        for world, (mean, spread) in WORLDS.items():
            found = {rule: year_of(rule, early, mean, spread, many) for rule in (GATE, SIGN, NEVER)}
            words = ", ".join(
                f"{rule} {y.gain.mean():.2f} ({y.promotions.mean():.1f}; {y.served.mean():+.0f})"
                for rule, y in found.items()
            )
            rows.append(
                Row(
                    f"unserved nights tell {told}, challengers {world}: gain of a year",
                    float(found[GATE].gain.mean()),
                    float(found[SIGN].gain.mean()),
                    note=f"{many} years; gain (promotions; what trials brought, summed over "
                    f"nights): {words}; peer: {SIGN}",
                )
            )
        wrong = float((year_of(GATE, early, 0.0, 0.0, many).promotions > 0).mean())
        most = RULE.false_promotions + 2.3 * math.sqrt(0.05 * 0.95 / many)
        rows.append(
            Row(
                f"unserved nights tell {told}: share of years with a wrong promotion",
                wrong,
                bar=f"<= {most:.4f}",
                holds=wrong <= most,
                note=f"{many} years of challengers that are as good as the champion",
            )
        )
    return rows


def year_of(rule: str, early: float, mean: float, spread: float, years: int) -> Year:
    """Years of tests under a rule that ends them.

    Args:
        rule: ``gate``, ``sign`` or ``never``.
        early: what an unserved night tells, of what one of the trial does.
        mean: of the challengers' true differences, in standard errors of a night of the trial.
        spread: their standard deviation.
        years: to draw.
    """
    rng = np.random.default_rng(17)
    told = np.where(np.arange(TEST_NIGHTS) < UNSERVED, early, 1.0)
    information = np.cumsum(told)
    bounds, ends = bounds_of(information), ends_of(rule, information)
    true = mean + spread * rng.normal(size=years)
    score, nights, before = np.zeros(years), np.zeros(years, np.int64), np.ones(years, np.int64)
    gain, promotions, served = np.zeros(years), np.zeros(years), np.zeros(years)
    for _ in range(NIGHTS):
        served += np.where(nights > 0, TRIAL.trial_share * true, 0.0)
        score += true * told[nights] + np.sqrt(told[nights]) * rng.normal(size=years)
        nights += 1
        statistic = score / np.sqrt(information[nights - 1])
        passed = statistic > bounds[before - 1, nights - 1]
        gain += np.where(passed, true, 0.0)
        promotions += passed
        ended = passed | (nights == TEST_NIGHTS) | (statistic <= ends[before - 1, nights - 1])
        true = np.where(ended, mean + spread * rng.normal(size=years), true)
        before = np.where(ended, nights, before)
        score, nights = np.where(ended, 0.0, score), np.where(ended, 0, nights)
    return Year(gain, promotions, served)


def bounds_of(information: Floats) -> Floats:
    """What the statistic must pass, by the nights of the test before and the night of the test."""
    nights, told = range(1, TEST_NIGHTS + 1), information.tolist()

    def spent(before: int) -> list[float]:
        error = error_of_a_test(RULE.false_promotions, TEST_NIGHTS, before)
        return [power_family(n / TEST_NIGHTS, error) for n in nights]

    return np.array([boundaries(told, spent(before)) for before in nights])


def ends_of(rule: str, information: Floats) -> Floats:
    """Statistic below which a test ends before its time, of the same shape; -inf: never."""
    found = np.full((TEST_NIGHTS, TEST_NIGHTS), -np.inf)
    if rule == NEVER:
        return found
    bounds = bounds_of(information)
    for before in range(1, TEST_NIGHTS + 1):
        for nights in range(1, TEST_NIGHTS):
            low, high = -4.0, float(bounds[before - 1, nights - 1]) - 0.1
            for _ in range(16):
                middle = (low + high) / 2
                going = _goes_on(middle, information[:nights], before)
                low, high = (low, middle) if going else (middle, high)
            found[before - 1, nights - 1] = high
    return np.maximum(found, 0.0) if rule == SIGN else found


def _goes_on(statistic: float, information: Floats, before: int) -> bool:
    """Whether the gate's own verdict lets a test go on, at its newest look."""
    now, nights = float(information[-1]), len(information)
    error = now**-0.5
    star = PolicyEstimate(statistic * error, error, 1e9, certified=True)
    own: dict[str, dict[str, PolicyEstimate]] = {TRIAL.estimator: {REWARD: star}}
    evidence = replace(
        BLANK,
        policies={"challenger": own, "champion": own},
        differences=own,
        trial_night=1.0 / now,
    )
    looks = tuple(range(1, nights + 1))
    return judge(evidence, TRIAL, Look(looks, before, tuple(information.tolist()))).goes_on
