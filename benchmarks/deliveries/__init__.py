"""Do intervals hold where a night's events were not delivered whole?

Some of the north star's events of each log's last night are lost: at random, by the hour, or by the
item. The delivery is judged as validation judges it, by the rates alone or by the logger's own
count of what it sent, and the judged nights are evaluated as every night's evidence is. A reward
that was not delivered and is counted as 0 shows as an interval that does not hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from benchmarks.deliveries.site import LOSSES, Site, Whole
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog
from mrlm.evidence.criteria import Criteria
from mrlm.evidence.scored_policies import ScoredPolicies
from mrlm.evidence.unknown_rewards import UnknownRewards
from mrlm.log_checks.delivery import Delivery, EventRows, judge_delivery
from mrlm.log_checks.losses import losses
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.verdict.certify import Thresholds
from pipelines.settings.validation import Validation

LOGS, QUICK_LOGS = 200, 12
TRAILING = 7
CRITERIA = Criteria("click", "dr", 0.95, Thresholds(), False)
SETTINGS = Validation()
COVERED, FOUND, REFUSED = 0.92, 0.95, 0.05


@dataclass(frozen=True)
class Outcome:
    """One log with one loss.

    Attributes:
        found: the rates say that events are missing.
        covered: by the interval that follows from the rates.
        told: the delivery's state where the logger counted what it sent.
        bounded: by the interval that follows from that count.
        as_zeros: covered where every slot without an event is taken to have had none.
        width: of the first two intervals, over that of the last.
    """

    found: bool
    covered: bool
    told: str
    bounded: bool
    as_zeros: bool
    width: tuple[float, float]


def run(quick: bool) -> list[Row]:
    """200 logs of each loss; 12 in the quick form."""
    logs = QUICK_LOGS if quick else LOGS
    cases = [(name, seed) for name in LOSSES for seed in range(logs)]
    # A fresh process each: forking one whose libraries have threads may lock up.
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        found = list(pool.map(outcome, *zip(*cases, strict=True), chunksize=4))
    by_loss = {n: [o for o, c in zip(found, cases, strict=True) if c[0] == n] for n in LOSSES}
    return [row for name, of_loss in by_loss.items() for row in _rows(name, of_loss)]


def outcome(name: str, seed: int) -> Outcome:
    """What is said of the last two nights of a log whose newest lost some of its clicks."""
    site = Site(seed)
    trailing = [site.night() for _ in range(TRAILING)]
    newest = site.night()
    came = LOSSES[name](newest, np.random.default_rng([seed, 1]))
    rates = losses(newest.events(came), [n.events() for n in trailing], SETTINGS.loss_error)[0]
    signs = tuple(sign.sign for sign in rates.signs)
    arrived = int(came.sum())
    rows = EventRows(clean=arrived, attributed=arrived)

    def judged(sent: int | None) -> Delivery:
        return judge_delivery(
            "click",
            rows,
            EventRows(),
            sent,
            signs,
            SETTINGS.doubtful_share,
            unattributed_are_lost=False,
        )

    by_rates, by_count = judged(None), judged(int(newest.click.sum()))
    nights = [trailing[-1], newest]
    truth = site.truth(nights)
    known: dict[tuple[bool, int], tuple[bool, float]] = {}

    def interval(of: Delivery) -> tuple[bool, float]:
        # Of an unknown delivery nothing is counted as lost besides: all its rewards are unknown.
        key = (of.state == "unknown", of.lost)
        if key not in known:
            known[key] = _interval(site, site.log(nights, came, of), truth)
        return known[key]

    (covered, of_rates), (bounded, of_count) = interval(by_rates), interval(by_count)
    as_zeros, plain = interval(Whole)
    return Outcome(
        found=by_rates.state == "unknown",
        covered=covered,
        told=by_count.state,
        bounded=bounded,
        as_zeros=as_zeros,
        width=(of_rates / plain, of_count / plain),
    )


def _interval(site: Site, log: BanditLog, truth: float) -> tuple[bool, float]:
    """Whether the challenger's interval holds its true value, and how wide it is."""
    batch = EvaluationBatch.from_log(log, site.target(log), site.predicted(log), "challenger")
    usual = np.array([o.usual for o in log.objectives])
    scored = ScoredPolicies({"challenger": batch}, UnknownRewards.of(log), None, CRITERIA, usual)
    estimate = scored.estimates(CRITERIA.estimator, "challenger")["click"]
    if estimate.lower is None or estimate.upper is None:
        raise ValueError("the estimate has no interval")
    return estimate.lower <= truth <= estimate.upper, estimate.upper - estimate.lower


def _rows(name: str, found: list[Outcome]) -> list[Row]:
    """Rows of one kind of loss."""
    logs = f"{len(found)} logs"

    def share(of: Callable[[Outcome], bool], among: list[Outcome] = found) -> float:
        return float(np.mean([of(o) for o in among])) if among else float("nan")

    def width(which: int) -> float:
        return float(np.median([o.width[which] for o in found]))

    seen = share(lambda o: o.found)
    rows = []
    if name == "nothing":
        rows.append(
            Row(
                "nothing lost: share of nights that their rates call incomplete",
                seen,
                bar=f"<= {REFUSED:g}",
                holds=seen <= REFUSED,
                note=logs,
            )
        )
    else:
        named = not name.startswith(("5 %", "10 %"))
        rows.append(
            Row(
                f"{name} lost: share that their rates find",
                seen,
                bar=f">= {FOUND:g}",
                holds=seen >= FOUND,
                note=f"{logs}; every reward of such a night is unknown",
            ).where(named)
        )
    missed = [o for o in found if not o.found]
    held = share(lambda o: o.covered, [o for o in found if o.found])
    if seen > 0:
        rows.append(
            Row(
                f"{name} lost: coverage of the 95 % interval where it is found",
                held,
                bar=f">= {COVERED:g}",
                holds=held >= COVERED,
                note=f"{width(0):.1f} x as wide as with 0 in their place; where it is not found "
                f"{share(lambda o: o.covered, missed):.2f} of {len(missed)}",
            )
        )
    counted = share(lambda o: o.bounded)
    states = {s: sum(o.told == s for o in found) for s in ("whole", "bounded", "unknown")}
    rows.append(
        Row(
            f"{name} lost, and the logger's count is known: coverage of the 95 % interval",
            counted,
            share(lambda o: o.as_zeros),
            f">= {COVERED:g}",
            counted >= COVERED,
            f"{width(1):.1f} x as wide; {', '.join(f'{s} {n}' for s, n in states.items() if n)}; "
            "peer: what did not come is taken for 0",
        )
    )
    return rows
