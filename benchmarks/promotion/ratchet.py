"""A ratchet: does a chain of promotions, each inside the margin of a guardrail, walk out of it?

365 nights. Every challenger is truly 2 % better than tonight's champion in the north star, which is
two standard errors of one night, and half a margin worse in one guardrail. The standard error of
that guardrail's difference on one night is .1, .3 or .5 of its margin, which is absolute. In a twin
world no challenger loses anything in it: what a rule refuses there is what it costs.

The noise of a policy on a night's rows is its own, so that every difference of two policies has
the same standard error and two differences with one policy in common are correlated. 100 worlds;
quick: 20.

``champion alone`` is the gate without an anchor. ``anchored`` measures the difference to the anchor
on the same rows, ``links`` never can and adds up the accepted promotions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.promotion._finished import finished
from benchmarks.promotion._rules import GUARDRAIL, MARGIN, verdict_on
from benchmarks.promotion._worlds import NIGHTS, REWARD
from benchmarks.rows import Row
from mrlm.evidence.anchor_comparison import Link, compare_with_anchor
from mrlm.evidence.policy_estimate import PolicyEstimate

WORLDS, QUICK_WORLDS = 100, 20
ERRORS = (0.1, 0.3, 0.5)
GAIN = 0.02
STAR_ERROR = GAIN / 2
LOSS = 0.5 * MARGIN
USERS = 500
CHAMPION, ANCHORED, LINKS = RULES = ("champion alone", "anchored", "links")
LEAST_SAFE, LEAST_PROMOTED = 0.95, 0.8


@dataclass(frozen=True)
class Outcome:
    """What a year brought.

    Attributes:
        lowest: lowest true value of the guardrail under any champion, in margins from the anchor.
        promotions: in the year.
    """

    lowest: float
    promotions: int


def run(quick: bool) -> list[Row]:
    """Of each standard error, worlds that stay within the margin, and promotions of the twin."""
    many = QUICK_WORLDS if quick else WORLDS
    rows = []
    for error in ERRORS:
        for rule in RULES[1:]:
            rows.append(_safe(error, rule, many))
            rows.append(_promoted(error, rule, many))
    return rows


def _worlds(rule: str, error: float, loss: float, many: int) -> list[Outcome]:
    kept = finished(__name__)
    cells = [
        kept.of([rule, str(error), str(loss), seed], partial(_plain, rule, error, loss, seed))
        for seed in range(many)
    ]
    return [Outcome(lowest, int(promotions)) for lowest, promotions in cells]


def _plain(rule: str, error: float, loss: float, seed: int) -> list[float]:
    found = cell(rule, error, loss, seed)
    return [found.lowest, found.promotions]


def cell(rule: str, error: float, loss: float, seed: int, nights: int = NIGHTS) -> Outcome:
    """One year of the gate under one of ``RULES``."""
    rng = np.random.default_rng([seed, int(100 * error), int(100 * loss)])
    links: list[Link] = []
    looks = 1
    for night in range(1, nights + 1):
        champion = len(links)
        # Noise of challenger, champion and anchor; a champion that is the anchor has the anchor's.
        new, now, anchor = error / np.sqrt(2) * rng.normal(size=3)
        now = now if champion else anchor
        star_new, star_now, star_anchor = STAR_ERROR / np.sqrt(2) * rng.normal(size=3)
        star_now = star_now if champion else star_anchor
        tonight = {
            REWARD: _estimate(GAIN + star_new - star_now, STAR_ERROR),
            GUARDRAIL: _estimate(-loss + new - now, error),
        }
        direct = {
            REWARD: _estimate((champion + 1) * GAIN + star_new - star_anchor, STAR_ERROR),
            GUARDRAIL: _estimate(-(champion + 1) * loss + new - anchor, error),
        }
        compared = compare_with_anchor(1, None if rule == LINKS else direct, tonight, links)
        verdict = verdict_on(
            tonight[REWARD],
            night,
            tonight[GUARDRAIL],
            None if rule == CHAMPION else compared,
            looks,
        )
        looks += verdict.anchored == "below"
        if verdict.promote:
            links.append(Link(night, tonight))
    return Outcome(-loss * len(links), len(links))


def _estimate(value: float, error: float) -> PolicyEstimate:
    return PolicyEstimate(value, error, USERS - 1.0, certified=True)


def _safe(error: float, rule: str, many: int) -> Row:
    ours, beside = (_worlds(r, error, LOSS, many) for r in (rule, CHAMPION))
    within, without = (float(np.mean([w.lowest >= -MARGIN for w in ws])) for ws in (ours, beside))
    lowest = np.array([w.lowest for w in ours])
    return Row(
        f"standard error {error:g} margin, {rule}: worlds that never lose more than a margin",
        within,
        without,
        f">= {LEAST_SAFE:g}",
        within >= LEAST_SAFE,
        f"{many} worlds; lowest {lowest.min():g} margins, median {np.median(lowest):g}; peer: "
        f"{CHAMPION}, lowest {min(w.lowest for w in beside):g}",
    )


def _promoted(error: float, rule: str, many: int) -> Row:
    ours, beside = (
        float(np.mean([w.promotions for w in _worlds(r, error, 0.0, many)]))
        for r in (rule, CHAMPION)
    )
    return Row(
        f"standard error {error:g} margin, {rule}: promotions a year where nothing is lost",
        ours,
        beside,
        f">= {LEAST_PROMOTED:g} x",
        ours >= LEAST_PROMOTED * beside,
        f"{many} worlds; peer: {CHAMPION}",
    )
