"""A year of nightly gates: is a worse challenger ever promoted, and a better one soon?

Every night brings a new challenger and is judged once by the gate's rule: the lower bound of the
paired difference, at this look's share of 5 % over all looks, must be above 0. Users return every
other night; their activity group, their taste for clicking and for the challenger are theirs for
the year, so the nights of a run share the luck of its users. The true lift is that over the
population the users were drawn from. Champion and challenger disagree on half of the decisions, and
the logger is uniform over 5 items, so a row weighs 5, -5 or 0. There the noise of clicks hides that
the same users return, so a second world has 1,000 loyal users with so many rows a night that only
their lasting likes and dislikes count: all nights of a year share the luck of who they are. Full
form 1,000 runs, some minutes; quick form 100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row
from mrlm.ope.intervals.student import Moments, degrees_of_freedom, ends_of
from mrlm.ope.nights.spending import error_at

NIGHTS = 365
ERROR = 0.05
USERS = 600_000
ACTIVE = 0.5
ITEMS = 5
RATE = 0.1
DISAGREE = 0.5
LIFT = 0.05
WITHIN = 14
LOYAL = 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """Groups of users, arrays of shape (groups,).

    Attributes:
        share: of the population.
        rate: click rate.
        taste: how much more a challenger's lift counts for the group; mean 1 over clicks.
    """

    share: Floats
    rate: Floats
    taste: Floats


def population() -> Population:
    """Ten groups whose click rates differ 6 times, and whose tastes differ in sign."""
    share = np.full(10, 0.1)
    rate = np.geomspace(0.4, 2.4, 10)
    rate *= RATE / (share @ rate)
    taste = np.tile([3.0, -1.0], 5)
    return Population(share, rate, taste / (share * rate @ taste) * (share @ rate))


def night(
    g: np.random.Generator, p: Population, users: NDArray[np.int64], lift: Floats, error: float
) -> NDArray[np.bool_]:
    """Whether each run promotes its challenger tonight, shape (runs,).

    Args:
        g: source of randomness.
        p: the groups.
        users: of every run by group, int64, shape (runs, groups).
        lift: relative true lift of every run's challenger, shape (runs,).
        error: one-sided error of this look.
    """
    rows = g.binomial(users, ACTIVE)
    matched = DISAGREE / ITEMS
    # The lift is of the whole value, and only the rows where the two disagree can bring it.
    better = p.rate * (1 + lift[:, None] * p.taste / DISAGREE)
    won = g.binomial(rows, matched * better)
    rest = rows - won
    lost = g.binomial(rest, matched * p.rate / (1 - matched * better))
    n, plus, minus = rows.sum(1), won.sum(1), lost.sum(1)
    value = ITEMS * (plus - minus) / n
    scores = np.array([ITEMS, -ITEMS, 0.0])
    counts = np.stack([plus, minus, n - plus - minus], axis=1)
    x = (scores - value[:, None]) / n[:, None]
    scale = np.abs(x).max(1)
    x /= scale[:, None]
    moments = Moments(
        n, scale, (counts * x**2).sum(1), (counts * x**3).sum(1), (counts * x**4).sum(1)
    )
    # Weights are 0 or one constant: the users whom the variance rests on are those who clicked.
    freedom = degrees_of_freedom(moments, np.minimum(plus, minus))
    lower, _ = ends_of(value, moments.standard_error, freedom, moments.skewness, 1 - error)
    promoted: NDArray[np.bool_] = lower > 0
    return promoted


def worse(runs: int, seed: int, lift_of: str) -> float:
    """Share of runs in which a challenger that is not better is promoted in the year.

    Args:
        runs: number of them.
        seed: of the randomness.
        lift_of: ``equal``: all challengers are equal to the champion, the hardest case;
            ``mixed``: lifts are normal around -1 % with a spread of 3 %, -10 % at the least, and a
            worse one counts.
    """
    g, p = np.random.default_rng(seed), population()
    users = g.multinomial(USERS, p.share, size=runs)
    wrong = np.zeros(runs, np.bool_)
    for look in range(1, NIGHTS + 1):
        lift = np.zeros(runs)
        if lift_of == "mixed":
            lift = np.maximum(g.normal(-0.01, 0.03, runs), -0.1)
        wrong |= night(g, p, users, lift, error_at(look, ERROR)) & (lift <= 0)
    return float(wrong.mean())


def loyal(runs: int, seed: int) -> float:
    """Share of runs with a promotion, where users' own differences last and average 0.

    Each user's difference between any challenger and the champion is drawn once, from a skewed law
    of mean 0; every night half of the users come.
    """
    g = np.random.default_rng(seed)
    wrong = 0
    for _ in range(runs):
        own = g.exponential(size=LOYAL) - 1.0
        seen = g.random((NIGHTS, LOYAL)) < ACTIVE
        scores = own + 0.5 * g.normal(size=(NIGHTS, LOYAL))
        n = seen.sum(1)
        value = (scores * seen).sum(1) / n
        influence = (scores - value[:, None]) * seen / n[:, None]
        moments = Moments.of(influence.T, seen.T)
        errors = np.array([error_at(look, ERROR) for look in range(1, NIGHTS + 1)])
        freedom = degrees_of_freedom(moments, np.inf)
        lower, _ = ends_of(value, moments.standard_error, freedom, moments.skewness, 1 - errors)
        wrong += bool((lower > 0).any())
    return wrong / runs


def nights_to_promote(runs: int, seed: int, first_look: int, lift: float) -> Floats:
    """Nights until a challenger of this lift, tried again every night, is promoted, shape (runs,).

    Infinite where it is not within a year.
    """
    g, p = np.random.default_rng(seed), population()
    users = g.multinomial(USERS, p.share, size=runs)
    waited = np.full(runs, math.inf)
    for t in range(NIGHTS):
        promoted = night(g, p, users, np.full(runs, lift), error_at(first_look + t, ERROR))
        waited[promoted & np.isinf(waited)] = t + 1
        if np.isfinite(waited).all():
            break
    return waited


def run(quick: bool) -> list[Row]:
    """Wrong promotions in a year, and nights until a better challenger is promoted."""
    runs = 100 if quick else 1000
    rows = []
    shares = {
        "equal": worse(runs, 1, "equal"),
        "mixed": worse(runs, 2, "mixed"),
        "equal and loyal": loyal(runs, 4),
    }
    for kind, share in shares.items():
        rows.append(
            Row(
                f"share of years with a wrong promotion, {kind} challengers",
                share,
                bar=f"<= {ERROR:g}",
                holds=share <= ERROR,
                note=f"{runs} runs of {NIGHTS} nights, Monte Carlo error "
                f"{math.sqrt(ERROR * (1 - ERROR) / runs):.4f}; "
                + (
                    f"{LOYAL} users"
                    if "loyal" in kind
                    else f"{USERS} users, about {int(USERS * ACTIVE)} decisions a night"
                ),
            )
        )
    for first in (1, 100, 300):
        waited = nights_to_promote(runs, 3, first, LIFT)
        late = float(np.quantile(waited, 0.9, method="inverted_cdf"))
        rows.append(
            Row(
                f"nights until a +5 % challenger is promoted, first look {first}",
                late,
                bar=f"<= {WITHIN} nights in 90 % of runs",
                holds=late <= WITHIN,
                note=f"{runs} runs; median {np.median(waited):g}, longest {waited.max():g}",
            )
        )
    return rows
