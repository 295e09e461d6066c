"""Wrong promotions where the evidence is made row by row, by the library call of ``evaluate``.

What ``year`` draws as sums by user is here a log in memory: decisions between two items, shown with
known propensities, and rewards that depend on the user alone, so challenger, champion and logger
are truly alike; in one more year the item that the challenger wants earns 30 % more.
``policy_estimates`` makes the evidence of all nights of the test, with support,
groups and exposure, and ``judge`` decides, as on every night of a workspace.

5 years and the better one; quick: 20 nights of one each. What is finished is kept, as in ``year``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from benchmarks.promotion._finished import finished
from benchmarks.promotion._rules import BLANK, RULE
from benchmarks.promotion._worlds import NIGHTS, RATE, REWARD, Floats
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog, Catalog, Decisions, Histories, Objective, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.evidence.policies import policy_estimates
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.verdict import Verdict

YEARS, QUICK_NIGHTS = 5, 20
USERS, ROWS, LEAST_USERS = 200, 300, 20
SHOWN, WANTED, BETTER = (0.5, 0.5), 0.8, 0.3
_STAR = Objective(REWARD, "feedback", "north_star", event=REWARD)
_FIRST = np.datetime64("2026-01-01")


def run(quick: bool) -> list[Row]:
    """Years with a wrong promotion."""
    kept = finished(__name__)
    many, nights = (1, QUICK_NIGHTS) if quick else (YEARS, NIGHTS)
    years = [kept.of([n, nights], partial(promotions, n, nights)) for n in range(many)]
    wrong = sum(map(bool, years))
    better = kept.of(["better", nights], partial(promotions, 0, nights, BETTER))
    return [
        Row(
            "through policy_estimates: years with a wrong promotion",
            wrong,
            bar="at most 1",
            holds=wrong <= 1,
            note=f"{many} of {nights} nights, {ROWS} decisions a night; two of 5 by chance: .02",
        ).where(not quick),
        Row(
            f"through policy_estimates: promotions of a challenger whose item earns {BETTER:+.0%}",
            len(better),
            note=f"{nights} nights, the first on night {better[0] if better else 'none'}",
        ),
    ]


def promotions(number: int, nights: int, gain: float = 0.0) -> list[int]:
    """The nights, from 1, on which a challenger is promoted whose item earns so much more."""
    rng = np.random.default_rng([number, 31])
    rate = RATE * rng.gamma(4.0, 0.25, USERS).clip(max=2.5)
    promoted: list[int] = []
    logs: list[BanditLog] = []
    before = 1
    for night in range(nights):
        logs.append(_night(night, rate, gain, rng))
        verdict = _verdict(BanditLog.concat(logs), len(logs), before)
        if verdict.promote:
            promoted.append(night + 1)
        if not verdict.goes_on:
            logs, before = [], len(logs)
    return promoted


def _verdict(log: BanditLog, nights: int, before: int) -> Verdict:
    many = len(log)
    policies = {
        "challenger": np.tile([WANTED, 1 - WANTED], many),
        "champion": np.tile([1 - WANTED, WANTED], many),
    }
    q = np.full((2 * many, 1), RATE)
    found = policy_estimates(log, policies, q, None, RULE.criteria(REWARD), LEAST_USERS)
    evidence = replace(
        BLANK, gate_nights=tuple(np.unique(log.night).astype(str)), rows=many, **found
    )
    return judge(evidence, RULE, Look(tuple(range(1, nights + 1)), before))


def _night(night: int, rate: Floats, gain: float, rng: np.random.Generator) -> BanditLog:
    user, action = rng.integers(0, USERS, ROWS), rng.integers(0, 2, ROWS)
    earns = (rate[user] * (1 + gain * (action == 0))).clip(max=1.0)
    step = np.arange(ROWS + 1, dtype=np.int64)
    on = np.full(ROWS, _FIRST + night)
    decisions = Decisions(
        catalog=_CATALOG,
        user=np.array([f"u{u}" for u in user], object),
        scene=np.array([("home", "page")[i % 2] for i in range(ROWS)], object),
        position=np.ones(ROWS, np.int32),
        ts=on.astype("datetime64[us]") + np.arange(ROWS).astype("timedelta64[s]"),
        candidates=Ragged(step * 2, np.tile(np.arange(2, dtype=np.int32), ROWS)),
        histories=Histories.none(),
        since=step[:-1] * 0,
        until=step[:-1] * 0,
        request=step[:-1],
        above=Ragged(step * 0, np.zeros(0, np.int32)),
    )
    known = np.ones((ROWS, 1), np.bool_)
    return BanditLog(
        decisions=decisions,
        decision_id=np.array([f"{night}-{i}#1" for i in range(ROWS)], object),
        night=on,
        session=np.array([f"{night}-{i}" for i in range(ROWS)], object),
        session_step=np.zeros(ROWS, np.int32),
        action=action.astype(np.int64),
        propensity=np.array(SHOWN)[action],
        candidate_propensity=np.tile(SHOWN, ROWS),
        policy_id=np.full(ROWS, "logger", object),
        objectives=(_STAR,),
        rewards=rng.binomial(1, earns).astype(np.float64)[:, None],
        final=known,
        unknown=~known,
        lost=np.zeros((ROWS, 1), np.int64),
    )


_CATALOG = Catalog.from_table(
    pa.Table.from_pylist(
        [{"item_id": f"i{c}", "text": f"item {c}", "categories": ["all"]} for c in range(2)],
        schema=ITEMS_SCHEMA,
    )
)
