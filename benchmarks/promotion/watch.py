"""The watch after a promotion: how soon a shortfall is seen, and how many years have a false alarm.

``false alarm``: years of nights in which every challenger is truly 5 % better, through the gate's
own code as in ``year``. What is promoted is followed on the nights since, until the next promotion;
its lift stays what it was, so any alarm is false, also where the promise was lucky.

``shortfall``: the promise of a test of 3, 7 or 14 nights, and live nights whose true lift lies five
standard errors of promise and five live nights together below it.

``demonstration``: what such a shortfall is in percent of the north star, by the newest evidence of
the workspace that the environment variable ``BENCH_WORKSPACE`` names (default: ``workspace``).

200 years of each kind and 400 shortfalls of each length; quick: 2 and 40. What is finished is kept,
as in ``year``.
"""

from __future__ import annotations

import json
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from benchmarks.promotion._finished import finished
from benchmarks.promotion._rules import RULE, verdict_on
from benchmarks.promotion._worlds import KINDS, NIGHTS, REWARD, Year, year
from benchmarks.rows import Row
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.ope import Estimate, estimates
from mrlm.ope.nights.hindcast import Lift, Promotion, judge_over_nights
from mrlm.ope.nights.realised import over_nights

YEARS, QUICK_YEARS = 200, 2
RUNS, QUICK_RUNS = 400, 40
LIFT, SHORTFALL, FLAGGED_BY, FLAGGED = 0.05, 5.0, 5, 0.9
WATCHED = ("Bernoulli", "clustered users", "weekday effects", "heavy weights")
TESTS = (3, 7, 14)
_TOGETHER = 20


def run(quick: bool) -> list[Row]:
    """Shortfalls seen by the fifth night, false alarms of each kind, and the demonstration."""
    rows = [_seen(nights, QUICK_RUNS if quick else RUNS) for nights in TESTS]
    rows += [_false(kind, QUICK_YEARS if quick else YEARS) for kind in WATCHED]
    return rows + _demonstration()


def _seen(test_nights: int, many: int) -> Row:
    kept = finished(__name__)
    seen = [
        x
        for first in range(0, many, _TOGETHER)
        for x in kept.of(
            ["shortfall", test_nights, first], partial(_shortfalls, test_nights, first, _TOGETHER)
        )
    ]
    share = float(np.mean([night > 0 for night, _ in seen]))
    percent = float(np.median([p for _, p in seen]))
    return Row(
        f"promise of {test_nights} nights: shortfalls flagged by night {FLAGGED_BY}",
        share,
        bar=f">= {FLAGGED}",
        holds=share >= FLAGGED,
        note=f"{len(seen)} runs, {SHORTFALL:g} standard errors of promise and {FLAGGED_BY} live "
        f"nights together, here {percent:.1%} of the reward",
    )


def _shortfalls(test_nights: int, first: int, many: int) -> list[tuple[int, float]]:
    """Of each run the night on which it is flagged, 0: on none, and its size as a share."""
    found = []
    for number in range(first, first + many):
        rng = np.random.default_rng([number, test_nights, 5])
        drawn = year(KINDS["Bernoulli"], LIFT, rng, test_nights + FLAGGED_BY)
        promise, judged = _lift(_estimate(drawn, 0, test_nights)), _promise(drawn, 0, test_nights)
        live = _estimate(drawn, test_nights, test_nights + FLAGGED_BY)
        gap = SHORTFALL * math.hypot(promise.standard_error, live.standard_error)
        more = Lift(promise.value + gap, judged.standard_error, judged.degrees_of_freedom)
        looks = _looks(drawn, more, test_nights, test_nights + FLAGGED_BY)
        found.append((_alarm(looks, test_nights), gap / _reward(drawn)))
    return found


def _false(kind: str, many: int) -> Row:
    kept = finished(__name__)
    years = [
        kept.of(["year", kind, number], partial(watched_year, kind, number))
        for number in range(many)
    ]
    false = sum(any(alarm for _, alarm in y) for y in years)
    most = int(binom.ppf(0.99, many, RULE.false_alarms))
    moves = np.mean([len(y) for y in years])
    return Row(
        f"{kind}: years with a false alarm",
        false,
        bar=f"at most {most} of {many}",
        holds=false <= most,
        note=f"challengers of {LIFT:+.0%}; {moves:.1f} promotions a year",
    )


def watched_year(kind: str, number: int, nights: int = NIGHTS) -> list[tuple[int, int]]:
    """Of each promotion its night and the night of its alarm since then, 0: none."""
    rng = np.random.default_rng([number, list(KINDS).index(kind), 9])
    drawn = year(KINDS[kind], LIFT, rng, nights)
    moves, first, before = [], 0, 1
    for night in range(1, nights + 1):
        found = PolicyEstimate.of(_estimate(drawn, first, night))
        verdict = verdict_on(found, night - first, before=before)
        if verdict.promote:
            moves.append((first, night))
        if not verdict.goes_on:
            first, before = night, night - first
    ends = [*[night for _, night in moves[1:]], nights][: len(moves)]
    alarms = []
    for (begun, night), end in zip(moves, ends, strict=True):
        last = min(end, night + RULE.hindcast_nights)
        looks = _looks(drawn, _promise(drawn, begun, night), night, last)
        alarms.append((night, _alarm(looks, night - begun) if looks else 0))
    return alarms


def _alarm(looks: list[Promotion], test_nights: int) -> int:
    """The first night with an alarm, from 1; 0: none."""

    def alarmed(night: int) -> bool:
        return judge_over_nights(
            looks[:night], test_nights, RULE.hindcast_nights, RULE.false_alarms
        ).alarm

    if not alarmed(len(looks)):
        return 0
    return next(night for night in range(1, len(looks) + 1) if alarmed(night))


def _promise(drawn: Year, first: int, last: int) -> Lift:
    """With the luck of nights in its error, where there are enough to tell it by."""
    states = {str(night): drawn.state(night, night + 1) for night in range(first, last)}
    return _lift(over_nights(states, RULE.level, RULE.thresholds())[REWARD])


def _looks(drawn: Year, promise: Lift, first: int, last: int) -> list[Promotion]:
    states = {str(night): drawn.state(night, night + 1) for night in range(first, last)}
    names = tuple(states)
    found = []
    for night in range(1, len(names) + 1):
        so_far = {name: states[name] for name in names[:night]}
        whole = over_nights(so_far, RULE.level, RULE.thresholds())[REWARD]
        found.append(Promotion(2, "watch", promise, RULE.level, _lift(whole), names[:night]))
    return found


def _estimate(drawn: Year, first: int, last: int) -> Estimate:
    return estimates(drawn.state(first, last), RULE.level, RULE.thresholds())[REWARD]


def _lift(e: Estimate) -> Lift:
    return Lift(e.value, e.standard_error, e.degrees_of_freedom, e.skewness, e.certified)


def _reward(drawn: Year) -> float:
    """The champion's mean reward where the two want other items."""
    return float(drawn.numerator[:, :, 1].sum() / drawn.rows.sum())


def _demonstration() -> list[Row]:
    folder = Path(os.environ.get("BENCH_WORKSPACE", "workspace")) / "runs"
    found = [json.loads(p.read_text()) for p in sorted(folder.glob("*/evaluate/evidence.json"))]
    told = [x for x in map(_percent, found) if x is not None]
    if not told:
        return []
    percent, nights = told[-1]
    return [
        Row(
            "demonstration: the shortfall that is flagged by night 5, percent of the north star",
            percent,
            note=f"{SHORTFALL:g} standard errors of a promise of {nights} nights and 5 such nights",
        )
    ]


def _percent(evidence: dict[str, Any]) -> tuple[float, int] | None:
    star, nights = evidence["north_star"], len(evidence["gate_nights"])
    lift = evidence["differences"].get(RULE.estimator, {}).get(star)
    own = evidence["policies"].get("champion", {}).get(RULE.estimator, {}).get(star)
    if not (lift and own and lift["standard_error"] and own["value"]):
        return None
    error: float = lift["standard_error"] * math.sqrt(1 + nights / FLAGGED_BY)
    return 100 * SHORTFALL * error / own["value"], nights
