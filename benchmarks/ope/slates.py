"""How long an interval of slates takes, beside obp's where it can run.

A million slates of five slots with 100 thousand users. obp loops over the slates and compares each
with all rows, so it gets 20,000 slates, or 5,000 in the quick form (time quadratic in their
number), and 100 bootstrap draws. The full form takes about two minutes, the quick one about a
quarter of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row
from mrlm.bandit_log.ragged import rows
from mrlm.ope import EvaluationState, estimates
from mrlm.ope.slates import SLATE_ESTIMATORS, SlateBatch

SLOTS, ITEMS, SECONDS = 5, 20, 2.0
FULL, QUICK = 1_000_000, 200_000
PEER_SLATES, QUICK_PEER_SLATES, DRAWS = 20_000, 5_000, 100
KIND = {
    "sniips": "marginal",
    "iips": "marginal",
    "pbm": "exposure",
    "snpbm": "exposure",
    "uniform_pi": "marginal",
    "snuniform_pi": "marginal",
}
PEERS = {
    "sips": ("SlateStandardIPS", ""),
    "iips": ("SlateIndependentIPS", "_item_position"),
    "rips": ("SlateRewardInteractionIPS", "_cascade"),
}


def slates(n: int, seed: int = 0) -> SlateBatch:
    """Slates of five slots drawn independently, each from twenty items of random weights."""
    g = np.random.default_rng(seed)
    total = n * SLOTS
    logger, target = g.dirichlet(np.ones(ITEMS), 64), g.dirichlet(np.full(ITEMS, 5.0), 64)
    policy, cumulative = g.integers(0, 64, total), np.cumsum(logger, axis=1)
    item = np.minimum((g.random(total)[:, None] > cumulative[policy]).sum(1), ITEMS - 1)
    near = 0.8 * logger + 0.2 * target
    return SlateBatch(
        cluster=g.integers(0, max(n // 10, 2), n),
        offsets=np.arange(n + 1) * SLOTS,
        propensity=logger[policy, item],
        target=near[policy, item],
        rewards=(g.random((total, 1)) < 0.1).astype(float),
        objectives=("click",),
        kind="independent",
        q=np.full((total, 1), 0.3),
        v=np.full((total, 1), 0.3),
        examination=np.tile(np.linspace(1, 0.4, SLOTS), n),
    )


def run(quick: bool) -> list[Row]:
    """Seconds of every estimator's interval, and obp's on fewer slates."""
    n = QUICK if quick else FULL
    batch = slates(n)
    found = []
    for name in SLATE_ESTIMATORS:
        used = replace(batch, kind=KIND.get(name, "independent"))
        if "uniform" in name:
            even = np.full(len(batch.propensity), 1 / ITEMS)
            used = replace(used, propensity=even, inclusion=np.full(len(even), SLOTS / ITEMS))
        # A fresh batch, so that nothing is cached; its checks are part of the time.
        seconds = _least(partial(_fresh_interval, name, used))
        found.append(
            Row(
                measure=f"seconds for an interval, {name}, {n} slates",
                ours=seconds,
                bar=f"< {SECONDS} at {FULL} slates",
                holds=seconds < SECONDS * n / FULL if not quick else None,
                note=f"{SLOTS} slots, 1 objective, checks of the batch included, best of 3",
            )
        )
    return found + _beside_obp(QUICK_PEER_SLATES if quick else PEER_SLATES)


def _interval(name: str, batch: SlateBatch) -> float:
    return estimates(EvaluationState.of(SLATE_ESTIMATORS[name](batch)))["click"].value


def _fresh_interval(name: str, batch: SlateBatch) -> float:
    return _interval(name, replace(batch))


def _least(work: Callable[[], object], repeats: int = 3) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _beside_obp(n: int) -> list[Row]:
    try:
        import obp.ope as obp
    except ImportError:
        return []
    found = []
    batch = slates(n)
    slate = rows(batch.offsets)
    position = np.tile(np.arange(SLOTS), n)
    for name, (peer, suffix) in PEERS.items():
        used = replace(batch, kind=KIND.get(name, "independent"))
        keys = (f"pscore{suffix}", f"evaluation_policy_pscore{suffix}")
        arguments = {
            "slate_id": slate,
            "reward": batch.rewards[:, 0],
            "position": position,
            keys[0]: _as_obp(name, batch.propensity),
            keys[1]: _as_obp(name, batch.target),
        }
        theirs = getattr(obp, peer)(len_list=SLOTS)
        value = theirs.estimate_policy_value(**arguments)
        error = float(abs(_interval(name, used) - value))
        bootstrap = partial(
            theirs.estimate_interval, **arguments, n_bootstrap_samples=DRAWS, random_state=0
        )
        found += [
            Row(
                measure=f"seconds for an interval, {name}, {n} slates",
                ours=_least(partial(_fresh_interval, name, used)),
                peer=_least(bootstrap, repeats=1),
                note=f"peer: obp {peer}, {DRAWS} bootstrap draws",
            ),
            Row(
                measure=f"difference of the values, {name}, {n} slates",
                ours=error,
                bar="<= 1e-10",
                holds=error <= 1e-10,
                note=f"from obp {peer}",
            ),
        ]
    return found


def _as_obp(name: str, probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities as the peer wants them: of the list, of the slot, or down to the slot."""
    square = probability.reshape(-1, SLOTS)
    if name == "sips":
        return np.repeat(square.prod(1), SLOTS)
    if name == "rips":
        return np.cumprod(square, axis=1).ravel().astype(np.float64)
    return probability
