"""A ratchet: does a chain of promotions, each inside the margin of a guardrail, walk out of it?

365 nights. Every challenger is truly 2 % better than tonight's champion in the north star, which is
two standard errors of one night, and half a margin worse in one guardrail. The standard error of
that guardrail's difference on one night is .1, .3 or .5 of its margin, which is absolute. In a twin
world no challenger loses anything in it: what a rule refuses there is what it costs.

The noise of a policy on a night's rows is its own, so that every difference of two policies has
the same standard error and two differences with one policy in common are correlated. 100 worlds;
quick: 20. In a third world every challenger is truly a little more than a margin below the champion
in the guardrail: the gate promises that hardly any year lets one through.

``anchored`` is the gate, which measures the difference to the anchor on the same rows; ``links``
never can, and adds up the accepted promotions. ``every night alone`` is the gate as it was before
tests went over several nights, without an anchor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.promotion._finished import finished
from benchmarks.promotion._rules import GUARDRAIL, MARGIN, RULE, alone, verdict_on
from benchmarks.promotion._worlds import NIGHTS, REWARD, Floats
from benchmarks.rows import Row
from mrlm.evidence.anchor_comparison import Link, compare_with_anchor
from mrlm.evidence.policy_estimate import PolicyEstimate

WORLDS, QUICK_WORLDS = 100, 20
ERRORS = (0.1, 0.3, 0.5)
GAIN = 0.02
STAR_ERROR = GAIN / 2
LOSS = 0.5 * MARGIN
USERS = 500
ALONE, ANCHORED, LINKS = RULES = ("every night alone", "anchored", "links")
BEYOND = 1.02 * MARGIN
_PROMISED = 1 - RULE.guardrail_level
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
        rows.append(_beyond(error, many))
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


def _beyond(error: float, many: int) -> Row:
    """Worlds of challengers that are all beyond the margin, in which one is promoted."""
    found = _worlds(ANCHORED, error, BEYOND, many)
    share = float(np.mean([o.promotions > 0 for o in found]))
    most = _PROMISED + 2 * float(np.sqrt(_PROMISED * (1 - _PROMISED) / many))
    return Row(
        f"se {error:g} margin: worlds that let one through, all truly {BEYOND:g} margins below",
        share,
        bar=f"<= {_PROMISED:g}, within two errors of {many} worlds",
        holds=share <= most,
        note="promised by guardrail_level, in a year",
    )


def cell(rule: str, error: float, loss: float, seed: int, nights: int = NIGHTS) -> Outcome:
    """One year of the gate under one of ``RULES``."""
    rng = np.random.default_rng([seed, int(100 * error), int(100 * loss)])
    links: list[Link] = []
    so_far = np.zeros((2, 3))
    tested, before = 0, 1
    for night in range(1, nights + 1):
        # Rows: north star and guardrail; columns: noise of challenger, champion and anchor.
        noise = np.array([[STAR_ERROR], [error]]) / np.sqrt(2) * rng.normal(size=(2, 3))
        if not links:
            noise[:, 1] = noise[:, 2]
        so_far, tested = so_far + noise, tested + 1
        tonight = _differences(so_far / tested, 1, 1, error, loss, tested)
        if rule == ALONE:
            promoted, goes_on = alone(tonight[REWARD], night, tonight[GUARDRAIL]), False
        else:
            direct = _differences(so_far / tested, 2, len(links) + 1, error, loss, tested)
            compared = compare_with_anchor(1, None if rule == LINKS else direct, tonight, links)
            verdict = verdict_on(tonight[REWARD], tested, tonight[GUARDRAIL], compared, before)
            promoted, goes_on = verdict.promote, verdict.goes_on
        if promoted:
            links.append(Link(night, tonight))
        if not goes_on:
            so_far, tested, before = np.zeros((2, 3)), 0, tested
    return Outcome(-loss * len(links), len(links))


def _differences(
    noise: Floats, rival: int, steps: int, error: float, loss: float, nights: int
) -> dict[str, PolicyEstimate]:
    """Challenger less a rival that lies so many steps below it, on so many nights together."""
    own = noise[:, 0] - noise[:, rival]
    root = np.sqrt(nights)
    return {
        REWARD: _estimate(steps * GAIN + own[0], STAR_ERROR / root),
        GUARDRAIL: _estimate(-steps * loss + own[1], error / root),
    }


def _estimate(value: float, error: float) -> PolicyEstimate:
    return PolicyEstimate(value, error, USERS - 1.0, certified=True)


def _safe(error: float, rule: str, many: int) -> Row:
    ours, beside = (_worlds(r, error, LOSS, many) for r in (rule, ALONE))
    within, without = (float(np.mean([w.lowest >= -MARGIN for w in ws])) for ws in (ours, beside))
    lowest = np.array([w.lowest for w in ours])
    return Row(
        f"standard error {error:g} margin, {rule}: worlds that never lose more than a margin",
        within,
        without,
        f">= {LEAST_SAFE:g}",
        within >= LEAST_SAFE,
        f"{many} worlds; lowest {lowest.min():g} margins, median {np.median(lowest):g}; peer: "
        f"{ALONE}, lowest {min(w.lowest for w in beside):g}",
    )


def _promoted(error: float, rule: str, many: int) -> Row:
    ours, beside = (
        float(np.mean([w.promotions for w in _worlds(r, error, 0.0, many)])) for r in (rule, ALONE)
    )
    return Row(
        f"standard error {error:g} margin, {rule}: promotions a year where nothing is lost",
        ours,
        beside,
        f">= {LEAST_PROMOTED:g} x",
        ours >= LEAST_PROMOTED * beside,
        f"{many} worlds; peer: {ALONE}",
    )
