"""Which film comes next: the encoder of ``sequence`` and what ``history`` reads, beside RecTools.

MovieLens 100K, each user's last rating held back and the one before it kept for the number of
epochs; all films that a user has not met are ranked, equal scores by the order of the catalogue.
``sequence`` is its encoder under a sampled softmax over the catalogue, see ``encoder``;
``history`` is what its tastes say under one, see ``tastes``. Peers are SASRec (Kang and
McAuley, "Self-attentive sequential recommendation", ICDM 2018) under the full softmax and eSASRec,
both by RecTools with their own rates, until twenty epochs bring nothing on the validation film.
All transformers have the same width, depth and length. Beside them stand what is simple: the films
that were met most often, in all and in the seven days before, neighbours of the newest films, see
``neighbours``, and EASE by RecTools. Lists are of ten films. Our rates, window and start were
chosen by the validation film under seeds that are not among those reported.

A second split is by the calendar: what came before a day is learned from, and those who went on
after it are asked, see ``calendar_split``.

5 seeds. Quick: one, of the first 200 users.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._clock import Clock
from benchmarks._kept import Kept, code_of
from benchmarks.behaviour import _peers
from benchmarks.behaviour._next_item.calendar_split import Calendar, counted_before
from benchmarks.behaviour._next_item.encoder import NextEvent, NextEventSettings, fit_next_event
from benchmarks.behaviour._next_item.ml_100k import PEERS, Sequences, read_ml_100k
from benchmarks.behaviour._next_item.neighbours import WINDOW, likeness, nearest
from benchmarks.behaviour._next_item.tastes import fit_next_item
from benchmarks.rows import Row
from mrlm.behaviour.sequence_settings import SequenceSettings
from mrlm.behaviour.settings import HistorySettings

Floats = NDArray[np.float64]
SEEDS, QUICK_SEEDS, QUICK_USERS = 5, 1, 200
LENGTH, WIDTH, K = 50, 64, 10
EVENT = NextEventSettings(
    encoder=SequenceSettings(
        width=WIDTH, identifier=WIDTH, layers=2, heads=2, identifier_dropout=0.0
    ),
    length=LENGTH,
)
# Most passes of the peers, and those after which each is looked at; ours has those of ``EVENT``.
_EPOCHS, _QUICK_EPOCHS, _EVERY = 100, 20, 10
_LOOKS = 5
_WEEK = 7 * 24 * 3600
_NEGATIVES = 256
_FASTER = 1.5
_SCRIPTS = Path(_peers.__file__).parent
_SASREC, _EASE = _SCRIPTS / "rectools_sasrec.py", _SCRIPTS / "rectools_ease.py"
HISTORY, SEQUENCE = "history's tastes", "sequence's encoder"
SASREC, ESASREC = "SASRec", "eSASRec"
EASE, NEIGHBOURS = "EASE", "neighbours of the newest"


def run(quick: bool) -> list[Row]:
    """Hits and gains of all on the last rating, what training costs, and the split by calendar."""
    if not PEERS.installed:
        return [Row("next item on MovieLens 100K", float("nan"), note=PEERS.missing)]
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", code_of(__name__))
    known = read_ml_100k(QUICK_USERS if quick else None)
    users, epochs = int(known.user.max()) + 1, _QUICK_EPOCHS if quick else _EPOCHS
    measures = {
        SEQUENCE: lambda seed: of_sequence(known, seed),
        HISTORY: lambda seed: of_history(known, seed),
        SASREC: lambda seed: of_sasrec(known, seed, epochs, enhanced=False),
        ESASREC: lambda seed: of_sasrec(known, seed, epochs, enhanced=True),
    }
    found: dict[str, list[Any]] = {}
    for name, measure in measures.items():
        found[name] = [
            kept.of(["next", name, users, seed], lambda m=measure, s=seed: m(s))  # type: ignore[misc]
            for seed in range(1, (QUICK_SEEDS if quick else SEEDS) + 1)
        ]
    found[EASE] = [kept.of(["next", EASE, users], lambda: of_ease(known))]
    return [*_rows(known, found, judged=not quick), *_by_calendar(known, found, judged=not quick)]


def of_history(known: Sequences, seed: int) -> dict[str, Any]:
    """The place of each user's last item, and processor seconds."""
    clock, left = Clock(), known.from_end
    model = fit_next_item(known, left > 1, HistorySettings(), seed)
    clock.lap("fit")
    last = np.flatnonzero(left == 0)
    places = _places(known, model.scores(last))
    return {"places": places.tolist(), "seconds": clock.seconds["fit"]}


def of_sequence(known: Sequences, seed: int) -> dict[str, Any]:
    """As ``of_history``, and its epochs; what it is worth by the calendar, trained to the end."""
    left = known.from_end
    before, validation = known.where(left > 0), np.flatnonzero(left == 1)

    def value(model: NextEvent) -> float:
        places = _places(before, model.scores(known, validation, LENGTH))
        return float(_gains(places, "NDCG").mean())

    every = EVENT.epochs // _LOOKS
    model, best, seconds = fit_next_event(known, left > 1, EVENT, seed, every, value)
    places = _places(known, model.scores(known, np.flatnonzero(left == 0), LENGTH))
    calendar = Calendar.of(known)
    again, *_ = fit_next_event(known, calendar.told, EVENT, seed)
    return {
        "places": places.tolist(),
        "seconds": seconds,
        "epochs": best,
        "tried": EVENT.epochs,
        "calendar": calendar.measured(again.scores(known, calendar.place, LENGTH), K),
    }


def of_sasrec(known: Sequences, seed: int, epochs: int, *, enhanced: bool) -> dict[str, Any]:
    """As ``of_history`` by RecTools, and its epochs and those that were tried."""
    return _of_library(
        _SASREC,
        known,
        seed=seed,
        width=WIDTH,
        length=LENGTH,
        epochs=epochs,
        every=_EVERY,
        enhanced=enhanced,
        negatives=_NEGATIVES,
    )


def of_ease(known: Sequences) -> dict[str, Any]:
    """As ``of_history`` by RecTools, and the penalty that did best on the validation film."""
    return _of_library(_EASE, known)


def _of_library(script: Path, known: Sequences, **more: Any) -> dict[str, Any]:
    """What a script of RecTools found, a place outside the list counting as that of the last."""
    left = known.from_end
    # RecTools sorts by time alone: equal times keep the order that all others read.
    at = known.seconds.min() + np.arange(len(left))
    found = PEERS.measured(script, user=known.user, item=known.item, at=at, left=left, **more)
    target = known.item[left == 0].tolist()
    by_user = found.pop("lists")
    both = zip([by_user[str(user)] for user in range(len(target))], target, strict=True)
    places = [own.index(t) if t in own else known.items for own, t in both]
    return {**found, "places": places}


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


def _neighbours(known: Sequences) -> Floats:
    """Likeness of each film to each user's newest ones, shape (users, items); as they learn."""
    alike = likeness(known.where(known.from_end > 1), WINDOW)
    return nearest(known, np.flatnonzero(known.from_end == 0), alike)


def _gains(places: Any, how: str) -> Floats:
    place = np.asarray(places, np.float64)
    hit = place < K
    gain = np.ones(len(place)) if how == "HR" else 1 / np.log2(place + 2)
    return np.where(hit, gain, 0.0)


def _rows(known: Sequences, found: dict[str, list[Any]], judged: bool) -> list[Row]:
    places = {name: [c["places"] for c in cells] for name, cells in found.items()}
    simple = {
        "popularity": _counted(known, None),
        "popular of 7 days": _counted(known, _WEEK),
        NEIGHBOURS: _neighbours(known),
    }
    places |= {name: [_places(known, scores)] for name, scores in simple.items()}
    rows = []
    for how in ("HR", "NDCG"):
        by_user = {
            name: np.mean([_gains(p, how) for p in own], axis=0) for name, own in places.items()
        }
        for name, gains in by_user.items():
            epochs = ", ".join(str(c["epochs"]) for c in found.get(name, ()) if "epochs" in c)
            note = f"{len(gains)} users, {len(places[name])} seeds" + f"; epochs {epochs}" * bool(
                epochs
            )
            rows.append(Row(f"{how}@{K} of the last item, {name}", float(gains.mean()), note=note))
        own, peers = (SEQUENCE, HISTORY), (SASREC, ESASREC, EASE, NEIGHBOURS)
        for name, peer in ((n, p) for n in own for p in peers):
            away = by_user[name] - by_user[peer]
            error = float(away.std(ddof=1) / np.sqrt(len(away)))
            rows.append(
                Row(
                    f"{how}@{K}, {name} beside {peer}",
                    float(by_user[name].mean()),
                    float(by_user[peer].mean()),
                    bar="not below",
                    holds=bool(away.mean() >= 0),
                    note=f"difference {away.mean():+.4f}, standard error {error:.4f}",
                ).where(judged and name == SEQUENCE and peer in (SASREC, ESASREC))
            )
    return [*rows, *_costs(known, found, judged)]


def _costs(known: Sequences, found: dict[str, list[Any]], judged: bool) -> list[Row]:
    users = int(known.user.max()) + 1
    speed = {
        name: float(np.mean([users * c["tried"] / c["seconds"] for c in found[name]]))
        for name in (SEQUENCE, SASREC, ESASREC)
    }
    rows = [
        Row(
            f"training sequences/s, {SEQUENCE} beside {peer}",
            speed[SEQUENCE],
            speed[peer],
            bar=f">= {_FASTER:g} x",
            holds=speed[SEQUENCE] >= _FASTER * speed[peer],
            note=f"processor seconds; width {WIDTH}, 2 layers, length {LENGTH}",
        ).where(judged)
        for peer in (SASREC, ESASREC)
    ]
    for name, cells in found.items():
        seconds = float(np.mean([c["seconds"] for c in cells]))
        rows.append(Row(f"processor seconds of training, {name}", seconds))
    return rows


def _by_calendar(known: Sequences, found: dict[str, list[Any]], judged: bool) -> list[Row]:
    """Beside the films that were met most often in the seven days before."""
    calendar = Calendar.of(known)
    if len(calendar.place) == 0:
        return []
    simple = calendar.measured(counted_before(calendar, _WEEK), K)
    rows = []
    for measure, peer in simple.items():
        own = float(np.mean([c["calendar"][measure] for c in found[SEQUENCE]]))
        rows.append(
            Row(
                f"split by calendar, {measure}@{K}, {SEQUENCE} beside popular of 7 days",
                own,
                peer,
                bar="above",
                holds=own > peer,
                note=f"{len(calendar.place)} users, {len(found[SEQUENCE])} seeds",
            ).where(judged)
        )
    return rows
