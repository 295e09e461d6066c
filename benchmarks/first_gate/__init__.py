"""Is the first gate an honest one? The clone against its logger, and the gate with a weak clone.

Worlds with known truth (``worlds``). In each log the clone is fitted as ``mrlm bootstrap`` does,
and its true value is compared with the logger's on the states of new users on the newest night.
Then the clone is made weak on purpose, and a challenger between it and the logger is put before the
gate.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from benchmarks.first_gate.worlds import CLICK, WORLDS, Drawn
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import segment_sum
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.learners.clone import FORMS, clone_logger
from mrlm.ope import (
    ESTIMATORS,
    EvaluationBatch,
    EvaluationState,
    difference,
    estimates,
    logger_scores,
)
from mrlm.policies.contract import Policy
from mrlm.promotion.judgement.gate import judge
from mrlm.promotion.settings import GateSettings

Floats = NDArray[np.float64]

LOGS, QUICK_LOGS = 20, 2
USERS = 500
NEW_USERS = 800
GATE_USERS = 1600
WEAK, BETWEEN, BETTER = -0.08, -0.04, 0.08
CLOSE, MOST_MEAN_GAP, LEAST_SHARE = 0.02, 0.01, 0.9
# The plain logit stands beside the clone on so many logs: it misses by the same in each.
LOGIT_LOGS = 5
RULE = GateSettings()


@dataclass(frozen=True)
class Outcome:
    """What one log showed; gaps are shares of the logger's true value.

    Attributes:
        clone: the clone's gap.
        attributes: that of a softmax over item attributes.
        logit: that of a conditional logit on the clone's features and the shown items alone; NaN
            where it was left out.
        divergence: of the clone, held out.
        form: that was taken.
        passed: whether the clone says that it reproduces the logger.
        refused: of a challenger between a weak clone and the logger, by the gate.
        before: promoted by a gate that looks at the champion alone.
        better: a challenger that truly beats the logger was promoted.
    """

    clone: float
    attributes: float
    logit: float
    divergence: float
    form: str
    passed: bool
    refused: bool
    before: bool
    better: bool


def run(quick: bool) -> list[Row]:
    """Twenty logs in each of three worlds; two in the quick form."""
    logs = QUICK_LOGS if quick else LOGS
    cases = [(name, seed) for name in WORLDS for seed in range(logs)]
    # A fresh process each: forking one whose libraries have threads may lock up.
    with ProcessPoolExecutor(
        min(len(cases), len(os.sched_getaffinity(0))), get_context("spawn")
    ) as pool:
        found = list(pool.map(outcome, *zip(*cases, strict=True)))
    return [
        row
        for name in WORLDS
        for row in _rows(name, [o for o, c in zip(found, cases, strict=True) if c[0] == name])
    ]


def outcome(name: str, seed: int, users: int = USERS) -> Outcome:
    """One log of a world: the clone's true gap, and what the gate says with a weak champion."""
    world = WORLDS[name](seed)
    log = world.draw(users, 100 + seed).log
    found = clone_logger(log, CLICK.name)
    new = world.draw(NEW_USERS, 10_000 + seed)
    truth = _Newest(new)

    def gap(policy: Policy) -> float:
        return truth.gap(np.exp(policy.log_probabilities(new.log.decisions)))

    judged = world.draw(GATE_USERS, 20_000 + seed, nights=(world.nights - 1,))
    weak, between, better = (_at(judged, gap) for gap in (WEAK, BETWEEN, BETTER))
    q = _reward_model(log, judged.log)
    evidence = _evidence(judged.log, between, weak, q)
    alone = _evidence(judged.log, between, weak, q, with_logger=False)
    return Outcome(
        clone=gap(found.policy),
        attributes=gap(FORMS["item attributes"](log, seed)),
        logit=gap(_plain_logit(log, seed)) if seed < LOGIT_LOGS else float("nan"),
        divergence=found.taken.fidelity.divergence or 0.0,
        form=found.taken.form,
        passed=found.passed,
        refused=not judge(evidence, RULE).promote,
        before=judge(alone, RULE).promote,
        better=judge(_evidence(judged.log, better, weak, q), RULE).promote,
    )


def _rows(name: str, found: list[Outcome]) -> list[Row]:
    logs = len(found)
    gap, old, logit = (
        np.array([getattr(o, k) for o in found]) for k in ("clone", "attributes", "logit")
    )
    told = np.isfinite(logit)
    forms = {f: sum(o.form == f for o in found) for f in FORMS}
    taken = ", ".join(f"{f} {n}" for f, n in forms.items() if n)
    share = float((np.abs(gap) <= CLOSE).mean())
    mean = float(np.abs(gap).mean())
    peer = "peer: a softmax over item attributes"
    return [
        Row(
            f"{name}: share of logs whose clone is within 2 % of the logger",
            share,
            float((np.abs(old) <= CLOSE).mean()),
            f"at least {LEAST_SHARE:g}",
            share >= LEAST_SHARE,
            f"{logs} logs; furthest {np.abs(gap).max():.2%}; {peer}",
        ),
        Row(
            f"{name}: mean distance of the clone's true value, share of the logger's",
            mean,
            float(np.abs(old).mean()),
            f"at most {MOST_MEAN_GAP:g}",
            mean <= MOST_MEAN_GAP,
            f"signed {gap.mean():+.2%} (attributes {old.mean():+.2%}); {peer}",
        ),
        Row(
            f"{name}: the same against a plain logit on the same features",
            float(np.abs(gap[told]).mean()),
            float(np.abs(logit[told]).mean()),
            note=f"{told.sum()} logs; peer: fitted on the shown items alone; signed "
            f"{logit[told].mean():+.2%}",
        ),
        Row(
            f"{name}: divergence of the clone from the logger, nats, held out",
            float(np.mean([o.divergence for o in found])),
            note=f"says that it reproduces the logger in {sum(o.passed for o in found)} of "
            f"{logs}; taken: {taken}",
        ),
        Row(
            f"{name}: share refused, champion {WEAK:+.0%}, challenger {BETWEEN:+.0%} of the logger",
            float(np.mean([o.refused for o in found])),
            float(np.mean([not o.before for o in found])),
            "1",
            all(o.refused for o in found),
            "peer: the same gate without the logger",
        ),
        Row(
            f"{name}: share promoted, champion {WEAK:+.0%}, challenger {BETTER:+.0%}",
            float(np.mean([o.better for o in found])),
            note=f"{GATE_USERS} users on the gate night",
        ),
    ]


class _Newest:
    """True values on the newest night of new users."""

    def __init__(self, drawn: Drawn) -> None:
        self.offsets = drawn.log.decisions.offsets
        self.reward = drawn.reward
        self.newest = drawn.log.night == drawn.log.night.max()
        self.logger = self.value(drawn.logger)

    def value(self, p: Floats) -> float:
        return float(segment_sum(p * self.reward, self.offsets)[self.newest].mean())

    def gap(self, p: Floats) -> float:
        return self.value(p) / self.logger - 1.0


def _plain_logit(log: BanditLog, seed: int) -> Policy:
    """The form with features, told the shown items alone."""
    hidden = BanditLog(
        **{
            **log.__dict__,
            "candidate_propensity": np.full_like(log.candidate_propensity, np.nan),
            "propensity": np.full_like(log.propensity, np.nan),
        }
    )
    return FORMS["features of state and item"](hidden, seed)


def _at(drawn: Drawn, gap: float) -> Floats:
    """A policy whose true value is the logger's times 1 + gap, shape (N,).

    The logger mixed with the uniform policy, which is worse, or tilted to what is truly good.
    """
    offsets = drawn.log.decisions.offsets
    lengths = np.diff(offsets)
    row = np.repeat(np.arange(len(lengths)), lengths)

    def value(p: Floats) -> float:
        return float(segment_sum(p * drawn.reward, offsets).mean())

    logger = value(drawn.logger)
    if gap < 0:
        uniform = 1.0 / lengths[row]
        share = gap * logger / (value(uniform) - logger)
        if not 0 < share <= 1:
            raise ValueError("the uniform policy of this world is not that much worse")
        return (1.0 - share) * drawn.logger + share * uniform
    low, high = 0.0, 20.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        tilted = drawn.logger * np.exp(middle * drawn.reward)
        tilted /= segment_sum(tilted, offsets)[row]
        low, high = (middle, high) if value(tilted) < (1 + gap) * logger else (low, middle)
    return tilted


def _reward_model(log: BanditLog, judged: BanditLog) -> Floats:
    """Shrunk mean reward of each item in the log of other users, shape (N, 1)."""
    shown = log.decisions.candidates.values[log.shown]
    items = len(log.decisions.catalog)
    count = np.bincount(shown, minlength=items)
    total = np.bincount(shown, weights=log.rewards[:, 0], minlength=items)
    mean = (total + 10.0 * log.rewards.mean()) / (count + 10.0)
    return mean[judged.decisions.candidates.values][:, None]


def _evidence(
    log: BanditLog, challenger: Floats, champion: Floats, q: Floats, *, with_logger: bool = True
) -> Evidence:
    """What the stage ``evaluate`` writes of these two, in the gate's estimator."""
    estimator = ESTIMATORS[RULE.estimator]
    batch = EvaluationBatch.from_log(log, challenger, q, "challenger")
    own = estimator(batch)
    other = estimator(batch.with_target(champion, "champion"))
    logger = logger_scores(batch, estimator)

    def plain(scores):  # type: ignore[no-untyped-def]
        found = estimates(EvaluationState.of(scores), RULE.level)
        return {RULE.estimator: {n: PolicyEstimate.of(e) for n, e in found.items()}}

    night = str(log.night[0])
    return Evidence(
        run_key=f"{night}/benchmark",
        night=night,
        settings_fingerprint="",
        code_version="",
        champion_version=1,
        north_star=CLICK.name,
        gate_nights=(night,),
        rows=len(log),
        users=len(set(log.decisions.user)),
        policies={"challenger": plain(own), "champion": plain(other), "logger": plain(logger)},
        differences=plain(difference(own, other)),
        logger_differences=plain(difference(own, logger)) if with_logger else {},
    )
