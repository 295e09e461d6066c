"""A ratchet: does a chain of promotions, each inside the margin of a guardrail, walk out of it?

365 nights. Every challenger is truly 2 % better than tonight's champion in the north star, which is
two standard errors of one night, and half a margin worse in one guardrail. The standard error of
that guardrail's difference on one night is .1, .3 or .5 of its margin, which is absolute. In a twin
world no challenger loses anything in it: what a rule refuses there is what it costs.

The noise of a policy on a night's rows is its own, so that every difference of two policies has
the same standard error and two differences with one policy in common are correlated. 100 worlds;
quick: 20.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.promotion._finished import finished
from benchmarks.promotion._rules import MARGIN, promotes
from benchmarks.promotion._worlds import NIGHTS
from benchmarks.rows import Row
from mrlm.evidence.policy_estimate import PolicyEstimate

WORLDS, QUICK_WORLDS = 100, 20
ERRORS = (0.1, 0.3, 0.5)
GAIN = 0.02
STAR_ERROR = GAIN / 2
LOSS = 0.5 * MARGIN
USERS = 500
LEAST_SAFE, LEAST_PROMOTED = 0.95, 0.8


@dataclass(frozen=True)
class Outcome:
    """What a year brought.

    Attributes:
        lowest: lowest true value of the guardrail under any champion, in margins below the anchor.
        promotions: in the year.
    """

    lowest: float
    promotions: int


def run(quick: bool) -> list[Row]:
    """Of each standard error, worlds that stay within the margin, and promotions of the twin."""
    many = QUICK_WORLDS if quick else WORLDS
    rows = []
    for error in ERRORS:
        rows.append(_safe(error, _worlds(error, LOSS, many)))
        rows.append(_promoted(error, _worlds(error, 0.0, many)))
    return rows


def _worlds(error: float, loss: float, many: int) -> list[Outcome]:
    kept = finished(__name__)
    cells = [
        kept.of([str(error), str(loss), seed], partial(_plain, error, loss, seed))
        for seed in range(many)
    ]
    return [Outcome(lowest, int(promotions)) for lowest, promotions in cells]


def _plain(error: float, loss: float, seed: int) -> list[float]:
    found = cell(error, loss, seed)
    return [found.lowest, found.promotions]


def cell(error: float, loss: float, seed: int, nights: int = NIGHTS) -> Outcome:
    """One year of the gate."""
    rng = np.random.default_rng([seed, int(100 * error), int(100 * loss)])
    champion, promotions = 0.0, 0
    for night in range(1, nights + 1):
        noise = error / np.sqrt(2) * rng.normal(size=2)
        star = _estimate(GAIN + STAR_ERROR * rng.normal(), STAR_ERROR)
        guardrail = _estimate(-loss + noise[0] - noise[1], error)
        if promotes(star, night, guardrail):
            champion, promotions = champion - loss, promotions + 1
    return Outcome(champion, promotions)


def _estimate(value: float, error: float) -> PolicyEstimate:
    return PolicyEstimate(value, error, USERS - 1.0, certified=True)


def _safe(error: float, worlds: list[Outcome]) -> Row:
    within = np.mean([w.lowest >= -MARGIN for w in worlds])
    lowest = np.array([w.lowest for w in worlds])
    return Row(
        f"standard error {error:g} margin: worlds never below the anchor by more than a margin",
        float(within),
        bar=f">= {LEAST_SAFE:g}",
        holds=bool(within >= LEAST_SAFE),
        note=f"{len(worlds)} worlds; lowest {lowest.min():g} margins, median "
        f"{np.median(lowest):g}; {np.mean([w.promotions for w in worlds]):.1f} promotions a year",
    )


def _promoted(error: float, worlds: list[Outcome]) -> Row:
    return Row(
        f"standard error {error:g} margin: promotions a year where nothing is lost",
        float(np.mean([w.promotions for w in worlds])),
        note=f"{len(worlds)} worlds",
    )
