"""Updates per processor second of discrete CQL, one thread, beside d3rlpy's and TorchRL's.

The peers' shape: 256 decisions a batch, 32 features, 50 actions that are always the same, two
hidden layers of 32. They have one network from a state to 50 values. Ours scores candidate by
candidate, since sets are ragged and tomorrow's items are new, so one update of ours evaluates a
network for 12,800 pairs, before and after.

Ragged against dense: processor time per candidate where sets have 1 to 200 candidates, 20 on the
mean, and where each has 20. Quick: fewer updates.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learners._finished import finished
from benchmarks.learners._rl.environment import PEERS, SCRIPTS
from benchmarks.rows import Row
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.learners.network import make_score_network
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.q_learning import train
from mrlm.learners.sequential.transitions import Transitions
from mrlm.learners.settings import LearningSettings

BATCH, FEATURES, ACTIONS, FEW, MOST = 256, 32, 50, 20, 200
UPDATES, QUICK_UPDATES = 100, 10
TIMES = {"d3rlpy": 5.0, "TorchRL": 2.0}
RAGGED = 1.5
_SETTINGS = LearningSettings(batch_size=BATCH, epochs=1, dropout=0.0)


def run(quick: bool) -> list[Row]:
    """Ours, each peer, and ragged against dense."""
    kept, updates = finished(__name__), QUICK_UPDATES if quick else UPDATES
    found = kept.of(["updates", updates], lambda: cell(updates))
    rows = [
        Row(
            "updates: ragged over dense, processor time per candidate",
            found["ragged"],
            bar=f"<= {RAGGED:g}",
            holds=found["ragged"] <= RAGGED,
            note=f"sets of 1 to {MOST}, {FEW} on the mean, against sets of {FEW}",
        ).where(not quick)
    ]
    if not PEERS.installed:
        return [
            *rows,
            Row("updates: discrete CQL, a processor second", found["rate"], note=PEERS.missing),
        ]
    peers = kept.of(
        ["peers", updates],
        lambda: PEERS.measured(SCRIPTS / "library_updates.py", **_given(updates)),
    )
    return rows + [
        Row(
            f"updates: discrete CQL, a processor second, against {name}",
            found["rate"],
            peers[name],
            bar=f">= {times:g} x",
            holds=found["rate"] >= times * peers[name],
            note=f"{BATCH} decisions, {FEATURES} features, {ACTIONS} actions, two layers of 32",
        ).where(not quick)
        for name, times in TIMES.items()
    ]


def cell(updates: int) -> dict[str, float]:
    """Our updates a second in the peers' shape, and time per candidate, ragged over dense."""
    n = BATCH * updates
    rng = np.random.default_rng(0)
    ragged = np.minimum(rng.geometric(1 / FEW, n), MOST)
    per_candidate = [_seconds(sizes, updates) / sizes.sum() for sizes in (ragged, np.full(n, FEW))]
    seconds = _seconds(np.full(n, ACTIONS), updates)
    return {"rate": updates / seconds, "ragged": float(per_candidate[0] / per_candidate[1])}


def _seconds(sizes: NDArray[np.int64], updates: int) -> float:
    """Processor seconds of one pass over a log with candidate sets of these sizes."""
    rng = np.random.default_rng(1)
    n, item = len(sizes), np.concatenate([np.arange(k) for k in sizes])
    features = PairFeatures(
        dense=np.repeat(rng.normal(size=(n, FEATURES)), sizes, axis=0).astype(np.float32),
        item=item,
        row=np.repeat(np.arange(n), sizes),
        item_vectors=np.eye(MOST, dtype=np.float32)[:, :ACTIONS],
        user_vectors=np.zeros((n, ACTIONS), np.float32),
    )
    following = np.where(np.arange(n) % 10 < 9, np.minimum(np.arange(n) + 1, n - 1), -1)
    steps = Transitions(following, following < 0, np.zeros(n, np.bool_))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    seen = Experience.of(features, offsets, rng.integers(0, sizes), rng.normal(size=n), steps)
    network = make_score_network(features, _SETTINGS, seed=0, gain=1.0)
    train(network, _first(seen, 2 * BATCH), _SETTINGS, seed=0)
    start = time.process_time()
    train(network, seen, _SETTINGS, seed=0)
    return time.process_time() - start


def _first(seen: Experience, n: int) -> Experience:
    """The first n decisions, to warm up on."""
    cut = int(seen.offsets[n])
    following = seen.following.numpy()[:n].copy()
    following[-1] = -1
    return Experience.of(
        seen.features.take(np.arange(cut)),
        seen.offsets[: n + 1],
        seen.action.numpy()[:n],
        seen.reward.numpy()[:n].astype(np.float64),
        Transitions(following, following < 0, np.zeros(n, np.bool_)),
    )


def _given(updates: int) -> dict[str, Any]:
    """A log of the peers' shape."""
    rng = np.random.default_rng(2)
    n = 20 * BATCH
    return {
        "state": rng.normal(size=(n, FEATURES)).astype(np.float32),
        "action": rng.integers(0, ACTIONS, n),
        "reward": rng.normal(size=n).astype(np.float32),
        "ended": np.arange(n) % 10 == 9,
        "actions": ACTIONS,
        "hidden": _SETTINGS.hidden,
        "batch_size": BATCH,
        "updates": updates,
        "learning_rate": _SETTINGS.learning_rate,
        "discount": _SETTINGS.discount,
        "conservative": _SETTINGS.conservative,
        "target_every": _SETTINGS.target_every,
    }
