"""Whether what ``history`` reads of a sequence tells the next item, beside a transformer.

MovieLens 100K, each user's last rating held back and the one before it kept for the number of
epochs; all films that a user has not met are ranked, equal scores by the order of the catalogue.
``history`` reads, and a softmax over the catalogue learns: see ``_next_item``. Its peer is SASRec
(Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018) by RecTools, under the
full softmax. Beside them stand the films that were met most often, in all and in the seven days
before. Lists are of ten films. The two kinds of training have no step in common, so what stands
side by side is the processor time of the whole.

5 seeds. Quick: one, of the first 200 users.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._clock import Clock
from benchmarks._kept import Kept, code_of
from benchmarks.behaviour._ml_100k import PEERS, Sequences, read_ml_100k
from benchmarks.behaviour._next_item import fit_next_item
from benchmarks.rows import Row
from mrlm.behaviour.settings import HistorySettings

Floats = NDArray[np.float64]
SEEDS, QUICK_SEEDS, QUICK_USERS = 5, 1, 200
LENGTH, WIDTH, K = 50, 64, 10
_EPOCHS, _QUICK_EPOCHS, _EVERY = 100, 20, 10
_WEEK = 7 * 24 * 3600
_SCRIPT = Path(__file__).with_name("_library_sasrec.py")


def run(quick: bool) -> list[Row]:
    """Hits and gains of all on the last rating, and what training costs."""
    if not PEERS.installed:
        return [Row("next item on MovieLens 100K", float("nan"), note=PEERS.missing)]
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", code_of(__name__))
    known = read_ml_100k(QUICK_USERS if quick else None)
    users, epochs = int(known.user.max()) + 1, _QUICK_EPOCHS if quick else _EPOCHS
    ours, peer = [], []
    for seed in range(1, (QUICK_SEEDS if quick else SEEDS) + 1):
        ours.append(kept.of(["next", "ours", users, seed], lambda s=seed: of_ours(known, s)))  # type: ignore[misc]
        peer.append(
            kept.of(["next", "peer", users, seed], lambda s=seed: of_sasrec(known, s, epochs))  # type: ignore[misc]
        )
    return _rows(known, ours, peer, judged=not quick)


def of_ours(known: Sequences, seed: int) -> dict[str, Any]:
    """The place of each user's last item, and processor seconds."""
    clock, left = Clock(), known.from_end
    model = fit_next_item(known, left > 1, HistorySettings(), seed)
    clock.lap("fit")
    last = np.flatnonzero(left == 0)
    places = _places(known, model.scores(last))
    clock.lap("score")
    return {"places": places.tolist(), "seconds": clock.seconds["fit"]}


def of_sasrec(known: Sequences, seed: int, epochs: int) -> dict[str, Any]:
    """As ``of_ours``, a place outside the list counting as that of the last; and its epochs."""
    left = known.from_end
    found = PEERS.measured(
        _SCRIPT,
        user=known.user,
        item=known.item,
        # RecTools sorts by time alone: equal times keep the order that all others read.
        at=known.seconds.min() + np.arange(len(left)),
        left=left,
        seed=seed,
        width=WIDTH,
        length=LENGTH,
        epochs=epochs,
        every=_EVERY,
    )
    target = known.item[left == 0].tolist()
    lists = [found["lists"][str(user)] for user in range(len(target))]
    both = zip(lists, target, strict=True)
    places = [own.index(t) if t in own else known.items for own, t in both]
    return {"places": places, "seconds": found["seconds"], "epochs": found["epochs"]}


def _places(known: Sequences, scores: Floats) -> NDArray[np.int64]:
    """Of each user's last item among those that were not met before, from 0, shape (users,)."""
    earlier = known.from_end > 0
    scores = scores.copy()
    scores[known.user[earlier], known.item[earlier]] = -np.inf
    target = known.item[~earlier]
    own = scores[np.arange(len(target)), target][:, None]
    first = (scores == own) & (np.arange(known.items) < target[:, None])
    return np.asarray(((scores > own) | first).sum(axis=1))


def _counted(known: Sequences, since: int | None) -> Floats:
    """How often each film was met before each user's last rating, shape (users, items).

    Of ratings that no one holds back, those of so many seconds before; None: of all, at any time.
    """
    told, moment = known.from_end > 1, known.seconds[known.from_end == 0]
    item, at = known.item[told], known.seconds[told]
    if since is None:
        return np.tile(np.bincount(item, minlength=known.items) * 1.0, (len(moment), 1))
    return np.stack(
        [np.bincount(item[(at < m) & (at >= m - since)], minlength=known.items) for m in moment]
    ).astype(np.float64)


def _gains(places: Any, how: str) -> Floats:
    place = np.asarray(places, np.float64)
    hit = place < K
    gain = np.ones(len(place)) if how == "HR" else 1 / np.log2(place + 2)
    return np.where(hit, gain, 0.0)


def _rows(known: Sequences, ours: Sequence[Any], peer: Sequence[Any], judged: bool) -> list[Row]:
    simple = {"popularity": None, "popular of 7 days": _WEEK}
    places = {name: _places(known, _counted(known, since)) for name, since in simple.items()}
    epochs = ", ".join(str(c["epochs"]) for c in peer)
    rows = []
    for how in ("HR", "NDCG"):
        mine = np.mean([_gains(c["places"], how) for c in ours], axis=0)
        theirs = np.mean([_gains(c["places"], how) for c in peer], axis=0)
        away = mine - theirs
        error = float(away.std(ddof=1) / np.sqrt(len(away)))
        rows.append(
            Row(
                f"{how}@{K} of the last item, history's tastes under a softmax",
                float(mine.mean()),
                float(theirs.mean()),
                bar="not below",
                holds=bool(away.mean() >= 0),
                note=f"{len(away)} users, {len(ours)} seeds; difference {away.mean():+.4f}, "
                f"standard error {error:.4f}; peer: RecTools' SASRec, epochs {epochs}",
            ).where(judged)
        )
        for name, of in places.items():
            figure = float(_gains(of, how).mean())
            rows.append(Row(f"{how}@{K}, beside {name}", float(mine.mean()), figure))
    seconds = [float(np.mean([c["seconds"] for c in cells])) for cells in (ours, peer)]
    note = "the peer trains until twenty epochs bring nothing"
    return [*rows, Row("processor seconds of training", seconds[0], seconds[1], note=note)]
