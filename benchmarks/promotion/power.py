"""Nights until a better challenger is promoted, where the horizon is stated.

One challenger is better by so much that an oracle promotes it within 14 nights with probability
80 %. The oracle knows the variance and holds the statistic of all nights so far against Lan and
DeMets' boundaries, of the gate's spending and the gate's error of a first test. The gate judges the
users' sums by its own code: it ends a test where it would, the next begins with an equally better
challenger, and has the error that the nights of the test before it have earned; ``even`` gives
every test that of a first one. ``to the end`` has the gate's first boundaries and gives no test up;
O'Brien and Fleming's and Pocock's spending of the same error stand beside it. After 14 nights
without a promotion these, and the oracle, begin their next test, with an equally better challenger.
The confidence sequence is the asymptotic one of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
(2103.06476), of the error of one test, narrowest on the seventh night; it needs no horizon and goes
on. A gate that judges every night alone spends that look's share of an endless
sum; it begins with its first look, or with its hundredth. Who is not promoted within 84 nights
counts as 84.

2,000 runs; quick: 300. The boundaries are compared with a simulation of the statistic, which shares
no code with the recursion.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri

from benchmarks.promotion._finished import finished
from benchmarks.promotion._rules import RULE, TEST_NIGHTS, levels, verdict_on
from benchmarks.promotion._worlds import Floats
from benchmarks.rows import Row
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope.intervals.student import Moments, ends_of
from mrlm.ope.nights.group_sequential import (
    boundaries,
    error_of_a_test,
    obrien_fleming,
    passing,
    pocock,
)
from mrlm.ope.nights.spending import error_at

RUNS, QUICK_RUNS = 2000, 300
USERS = 300
POWER = 0.8
HORIZON = 6 * TEST_NIGHTS
STEPS, QUICK_STEPS = 4_000_000, 400_000
LARGE_ERROR = 0.05
MOST_OF_ORACLE, MOST_OF_SEQUENCE = 1.10, 0.75
_TOGETHER = 100


def run(quick: bool) -> list[Row]:
    """Mean nights of every rule, and how far boundaries are from simulated ones."""
    kept = finished(__name__)
    many = QUICK_RUNS if quick else RUNS
    cells = [
        kept.of([first], partial(nights_of, first, _TOGETHER))
        for first in range(0, many, _TOGETHER)
    ]
    waited = {rule: np.concatenate([c[rule] for c in cells]) for rule in cells[0]}
    mean = {rule: float(np.minimum(n, HORIZON).mean()) for rule, n in waited.items()}
    within = {rule: float((n <= TEST_NIGHTS).mean()) for rule, n in waited.items()}
    told = ", ".join(f"{rule} {mean[rule]:.2f} ({within[rule]:.0%})" for rule in mean)
    return [
        _beside("oracle", MOST_OF_ORACLE, mean, told),
        _beside("confidence sequence", MOST_OF_SEQUENCE, mean, told),
        _simulated(QUICK_STEPS if quick else STEPS),
    ]


_FIRST_LOOKS = (1, 100)


def drift() -> float:
    """True difference in standard errors of one night, at which the oracle's power is ``POWER``."""
    nights = range(1, TEST_NIGHTS + 1)
    bounds = -ndtri(levels())
    return float(brentq(lambda d: passing(nights, bounds, d).sum() - POWER, 0.1, 5.0, xtol=1e-6))


def nights_of(first: int, runs: int) -> dict[str, list[float]]:
    """Of each rule, the night on which each run's challenger is promoted; infinite: on none."""
    rng, gain = np.random.default_rng([first, 14]), drift()
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        # Of mean gain and skewed, one number a user and night, the error of a night's mean 1.
        scores = gain + math.sqrt(USERS) * (rng.gamma(4.0, 0.5, (HORIZON, USERS)) - 2.0)
        for rule, earned in (("gate", True), ("even", False)):
            found.setdefault(rule, []).append(promoted_by_the_gate(scores, earned))
        for rule, passed in _passed(scores).items():
            night = int(np.argmax(passed)) + 1 if passed.any() else math.inf
            found.setdefault(rule, []).append(night)
    return found


def promoted_by_the_gate(scores: Floats, earned: bool) -> float:
    """The night, from 1, on which the gate's own verdict promotes; infinite: on none.

    Args:
        scores: shape (nights, users), drawn alike for every challenger.
        earned: a test has the error that the nights of the test before it have earned, as the
            gate's have; else that of a first test.
    """
    first, before = 0, 1
    for night in range(1, len(scores) + 1):
        nights = night - first
        by_user = scores[first:night].sum(axis=0, keepdims=True) / nights
        m = _moments(by_user)
        star = PolicyEstimate(
            value=float(by_user.mean()),
            standard_error=float(m.standard_error[0]),
            degrees_of_freedom=float(m.degrees_of_freedom[0]),
            skewness=float(m.skewness[0]),
            certified=True,
        )
        verdict = verdict_on(star, nights, before=before)
        if verdict.promote:
            return night
        if not verdict.goes_on:
            first, before = night, nights if earned else 1
    return math.inf


def _passed(scores: Floats) -> dict[str, NDArray[np.bool_]]:
    """Rule to whether it promotes on each night; scores of shape (nights, users)."""
    night = np.arange(1, HORIZON + 1)
    since = (night - 1) % TEST_NIGHTS + 1
    sums = np.cumsum(scores, axis=0)
    tests = np.cumsum(scores.reshape(-1, TEST_NIGHTS, USERS), axis=1).reshape(HORIZON, USERS)
    by_user = tests / since[:, None]
    mean, gathered = by_user.mean(1), _moments(by_user)
    whole = sums / night[:, None]
    found = {
        "to the end": _lower(mean, gathered, levels()[since - 1]) > 0,
        "O'Brien-Fleming": _lower(mean, gathered, levels(obrien_fleming)[since - 1]) > 0,
        "Pocock": _lower(mean, gathered, levels(pocock)[since - 1]) > 0,
        "oracle": mean * np.sqrt(since) > -ndtri(levels()[since - 1]),
        "confidence sequence": whole.mean(1) > _half_width(night, _moments(whole).standard_error),
    }
    alone = _moments(scores)
    for look in _FIRST_LOOKS:
        level = np.array([error_at(look + n, RULE.false_promotions) for n in range(HORIZON)])
        found[f"alone from look {look}"] = _lower(scores.mean(1), alone, level) > 0
    return found


def _moments(by_user: Floats) -> Moments:
    """Of means over users, one a night."""
    influence = (by_user - by_user.mean(1, keepdims=True)) / by_user.shape[1]
    return Moments.of(influence.T, np.ones(influence.T.shape, np.bool_))


def _lower(value: Floats, m: Moments, level: Floats) -> Floats:
    quantile = 1 - np.maximum(level, 1e-15)
    return ends_of(value, m.standard_error, m.degrees_of_freedom, m.skewness, quantile)[0]


def _half_width(night: NDArray[np.int64], standard_error: Floats) -> Floats:
    """Half width of the one-sided confidence sequence, in units of the value.

    Their equation for a mean of t terms of variance s^2: with r the mixture's parameter,
    ``s sqrt(2 (t r + 1) / (t^2 r) log(1 + sqrt(t r + 1) / (2 error)))``. A night is a term.
    """
    error = error_of_a_test(RULE.false_promotions, TEST_NIGHTS, before=1)
    # Narrowest where t r is about -2 log(2 error) + log(1 - 2 log(2 error)).
    log = -2 * math.log(2 * error)
    r = (log + math.log(1 + log)) / (TEST_NIGHTS / 2)
    width = 2 * (night * r + 1) / (night**2 * r) * np.log1p(np.sqrt(night * r + 1) / (2 * error))
    found: Floats = standard_error * np.sqrt(night) * np.sqrt(width)
    return found


def _beside(peer: str, most: float, mean: dict[str, float], told: str) -> Row:
    return Row(
        f"mean nights to promotion, beside the {peer}",
        mean["gate"],
        mean[peer],
        f"<= {most:g} x",
        mean["gate"] <= most * mean[peer],
        f"mean nights (promoted within {TEST_NIGHTS}): {told}",
    )


def _simulated(steps: int) -> Row:
    """Error spent by each look, simulated, beside what the boundaries were made for."""
    nights = np.arange(1, TEST_NIGHTS + 1)
    spent = [pocock(n / TEST_NIGHTS, LARGE_ERROR) for n in nights]
    bounds = boundaries(nights.tolist(), spent)
    rng, apart = np.random.default_rng(7), 0.0
    walk, inside = np.zeros(steps), np.ones(steps, np.bool_)
    for night, bound, due in zip(nights, bounds, spent, strict=True):
        walk += rng.normal(size=steps)
        inside &= walk <= bound * math.sqrt(night)
        apart = max(apart, abs(1 - float(inside.mean()) - due))
    noise = 3 * math.sqrt(LARGE_ERROR / steps)
    return Row(
        "largest gap between the error spent and the simulated one",
        apart,
        bar=f"<= {noise:.1g}, three errors of the simulation",
        holds=apart <= noise,
        note=f"{steps} walks of {TEST_NIGHTS} nights, Pocock's spending of {LARGE_ERROR:g}",
    )
