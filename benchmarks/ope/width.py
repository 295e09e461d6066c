"""How wide are intervals that cover? Uniform logger, one target item of 10, mean .05, 10,000 rows.

Full form 2,000 logs, a few minutes; quick form 200. Every interval of the family on the same
logs, the bootstrap on a tenth of them; coverage is of the true mean in the same run. A sequence is
also looked at after every 1,000 rows, and must hold at all certified looks together.
"""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Row
from mrlm.ope import ESTIMATORS, INTERVALS, EvaluationBatch, EvaluationState, Interval, ScoreRange
from mrlm.ope.intervals import estimates

ITEMS, ROWS, MEAN, LEVEL = 10, 10_000, 0.05, 0.95
COVER = 0.94
FIXED, ANYTIME = 0.035, 0.06
LOOKS = range(1000, ROWS + 1, 1000)
KNOWN = {
    "ips": ScoreRange(0.0, float(ITEMS)),
    "snips": ScoreRange(0.0, 1.0, denominator=float(ITEMS)),
}
# The bars are those of the best of each kind; the others are printed beside them.
JUDGED = {("t", "ips"), ("clopper_pearson", "ips"), ("betting", "ips"), ("asymptotic", "ips")}
# A bootstrap costs as much as all the others together.
TENTH = ("bootstrap",)
PEER_LOGS = 60


def log(seed: int) -> EvaluationBatch:
    """One log, one row a user."""
    g = np.random.default_rng(seed)
    action = g.integers(0, ITEMS, ROWS)
    return EvaluationBatch(
        cluster=np.arange(ROWS),
        offsets=np.arange(ROWS + 1) * ITEMS,
        target=np.tile(np.eye(ITEMS)[0], ROWS),
        shown=np.arange(ROWS) * ITEMS + action,
        propensity=np.full(ROWS, 1 / ITEMS),
        rewards=(g.random((ROWS, 1)) < MEAN).astype(float),
        objectives=("click",),
    )


def run(quick: bool) -> list[Row]:
    """Width and coverage of every interval, and obp's bootstrap."""
    logs = 200 if quick else 2000
    kinds = [(name, estimator) for name in INTERVALS for estimator in KNOWN]
    width: dict[tuple[str, str], list[float]] = {k: [] for k in kinds}
    missed = dict.fromkeys(kinds, 0)
    ever = dict.fromkeys(kinds, 0)
    for seed in range(logs):
        batch = log(seed)
        whole = {e: EvaluationState.of(ESTIMATORS[e](batch)) for e in KNOWN}
        for name, estimator in kinds:
            if name in TENTH and seed % 10:
                continue
            interval = INTERVALS[name](KNOWN[estimator])
            lower, upper = interval(whole[estimator], LEVEL)
            width[name, estimator].append(float(upper[0] - lower[0]))
            out = not lower[0] <= MEAN <= upper[0]
            missed[name, estimator] += out
            # Looks cost ten times as much: a tenth of the logs.
            if interval.anytime and estimator == "ips" and seed % 10 == 0:
                ever[name, estimator] += any(_outside(interval, batch, n) for n in LOOKS)
    rows = []
    for name, estimator in kinds:
        anytime = INTERVALS[name](KNOWN[estimator]).anytime
        bar = ANYTIME if anytime else FIXED
        mean = float(np.mean(width[name, estimator]))
        tried = len(width[name, estimator])
        share = 1 - missed[name, estimator] / tried
        error = float(np.sqrt(LEVEL * (1 - LEVEL) / tried))
        judged = (name, estimator) in JUDGED
        looks = ever[name, estimator] / len(range(0, logs, 10))
        rows.append(
            Row(
                f"width, {name}, {estimator}",
                mean,
                bar=f"<= {bar:g} with coverage >= {COVER:g}",
                holds=mean <= bar and share >= COVER,
                note=f"coverage {share:.4f} of {tried} logs, Monte Carlo error {error:.4f}"
                + (
                    f"; outside at a certified one of {len(LOOKS)} looks {looks:.3f}"
                    if anytime and estimator == "ips"
                    else ""
                ),
            ).where(judged)
        )
    return rows + _peer()


def _outside(interval: Interval, batch: EvaluationBatch, rows: int) -> bool:
    state = EvaluationState.of(ESTIMATORS["ips"](batch.take(np.arange(rows))))
    found = estimates(state, LEVEL, interval=interval)["click"]
    return found.certified and not found.lower <= MEAN <= found.upper


def _peer() -> list[Row]:
    try:
        from obp.utils import estimate_confidence_interval_by_bootstrap as bootstrap
    except ImportError:
        return []
    width, covered = [], 0
    for seed in range(PEER_LOGS):
        batch = log(seed)
        found = bootstrap(
            batch.weight * batch.rewards[:, 0], n_bootstrap_samples=300, random_state=seed
        )
        lower, upper = found["95.0% CI (lower)"], found["95.0% CI (upper)"]
        width.append(upper - lower)
        covered += lower <= MEAN <= upper
    return [
        Row(
            "width, peer: obp bootstrap, ips",
            float(np.mean(width)),
            note=f"coverage {covered / PEER_LOGS:.3f} of {PEER_LOGS} logs",
        )
    ]
