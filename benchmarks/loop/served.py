"""The loop as its users run it: ``mrlm serve``, the log that it writes, files, ``mrlm night``.

One seed of the clean world. After eight nights of the platform's own logger and a first champion,
the server answers every request of a night, writes the night's log itself, and takes over what the
night promotes, or puts on trial, without being started anew. The logger, as the first champion for
ever, and the item mean live through the same world in memory beside it.

The deployment lies in the folder that the environment variable ``BENCH_LOOP_SERVED`` names
(default: ``mrlm-loop-served`` in the temporary folder), by the version of the code: a run that is
killed goes on with the night, and in it with the request, where it was.

Quick: 13 nights of 130 users, without bars of value.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks._kept import code_of
from benchmarks.loop._finished import lives
from benchmarks.loop._life import true_value
from benchmarks.loop._platform import recorded
from benchmarks.loop._rows import values
from benchmarks.loop._served_checks import SAME, furthest_probability, rewards_not_joined, slots
from benchmarks.loop._served_life import SETTINGS, Deployment, ServedLife, live
from benchmarks.loop._systems import FROZEN, ITEM_MEAN
from benchmarks.loop._world import FULL, QUICK, Size
from benchmarks.rows import Row
from mrlm.bandit_log.objectives import north_star
from mrlm.worlds.live_replay import Floats

# Nights before the first champion, and nights that are compared in the end.
HISTORY, LAST = 8, 5
SEED = 0
SERVED = replace(FULL, seeds=SEED + 1)
QUICK_SERVED = replace(QUICK, nights=13)


def run(quick: bool) -> list[Row]:
    """What was served, beside two systems that live in memory, and what was accounted for."""
    size = QUICK_SERVED if quick else SERVED
    life = live(Deployment(_folder(size), size, SEED), HISTORY)
    return [*_values(life, judged=not quick), *_accounts(life), *_new_items(life), *_moves(life)]


def _folder(size: Size) -> Path:
    place = Path(tempfile.gettempdir()) / "mrlm-loop-served"
    version = f"{code_of(__name__)}{SETTINGS.read_text()}{size}"
    name = hashlib.sha256(version.encode()).hexdigest()[:16]
    return Path(os.environ.get("BENCH_LOOP_SERVED", place)) / name


def _values(life: ServedLife, judged: bool) -> list[Row]:
    size, first = life.deployment.size, life.history
    star = north_star(life.deployment.settings.objective_tuple)
    late, soon = star.window_nights, f"{ITEM_MEAN} that is told after a night"
    beside = values(lives(__name__, (FROZEN, ITEM_MEAN), size, {}, late))
    beside[soon] = values(lives(__name__, (ITEM_MEAN,), size, {}))[ITEM_MEAN]
    by = {name: v[0, first:] for name, v in beside.items()}
    ours = np.array([true_value(s) for s in life.shown[first:]])
    over = float(ours[-LAST:].mean() - by[FROZEN][-LAST:].mean())
    return [
        _mean("served", ours, star.unit),
        *(_mean(name, v, star.unit) for name, v in by.items()),
        Row(
            f"served: less frozen, last {LAST} nights",
            over,
            bar="above 0",
            holds=over > 0,
            note=", ".join(f"less {n} {float((ours - by[n])[-LAST:].mean()):+.4f}" for n in by),
        ).where(judged),
    ]


def _mean(name: str, by_night: Floats, unit: str) -> Row:
    told = ", ".join(f"{v:.3f}" for v in by_night)
    return Row(
        f"served: true value over the served nights, {name}, {unit}",
        float(by_night.mean()),
        note=told,
    )


def _accounts(life: ServedLife) -> list[Row]:
    served = life.names()[life.history :]
    late = north_star(life.deployment.settings.objective_tuple).window_nights
    found = slots(life, served)
    whole = life.names()[:-late]
    missing = rewards_not_joined(life, whole)
    apart = furthest_probability(life, served)
    return [
        Row(
            "served: slots that the clean log does not hold once with their propensities",
            found.astray,
            bar="0",
            holds=found.astray == 0,
            note=f"{found.served} slots; propensities apart by at most {found.dearest:.1e}, "
            f"{found.dropped} candidates left out",
        ),
        Row(
            f"served: rewards that are not joined, the north star's {late} nights late",
            missing,
            bar="0",
            holds=missing == 0,
            note=f"{sum(len(s.log) for s in life.shown[:-late])} slots of {len(whole)} nights",
        ),
        Row(
            "served: largest gap of a served probability to the version's on the built log",
            apart,
            bar=f"<= {SAME:g}",
            holds=apart <= SAME,
            note=f"all candidates of {len(served)} nights",
        ),
    ]


def _new_items(life: ServedLife) -> list[Row]:
    arrivals = life.deployment.first_offered
    shown = []
    for new, night in zip(arrivals, life.shown, strict=True):
        items = night.log.decisions.candidates.values[night.log.shown]
        shown.append((len(new), len({*new} & {*items.tolist()})))
    own = [(n, s) for n, s in shown[life.history :] if n]
    share = float(np.mean([s > 0 for _, s in own])) if own else 1.0
    total, seen = np.sum(own, axis=0) if own else (0, 0)
    return [
        Row(
            "served: nights that show items on the first night that they are on offer",
            share,
            bar="1",
            holds=share == 1.0,
            note=f"{seen} of {total} such items; each arrived in the files of the night before",
        )
    ]


def _moves(life: ServedLife) -> list[Row]:
    nights, told = life.names(), life.told
    promoted = [n for n in told if told[n]["verdict"] == "promoted"]
    who = [str(next(iter(_names(life, n)))) for n in told]
    changes = sum(a != b for a, b in itertools.pairwise(who))
    seconds = [t["seconds"] for t in told.values()]
    return [
        Row(
            "served: promotions",
            float(len(promoted)),
            bar=">= 1",
            holds=bool(promoted),
            note=f"after nights {[nights.index(n) + 1 for n in promoted]}; by night served "
            + ", ".join(who),
        ),
        Row(
            "served: times that another policy took over while the server ran",
            float(changes),
            bar=">= 1",
            holds=changes >= 1,
            note=f"{np.mean(seconds):.0f} s a night, its requests included",
        ),
    ]


def _names(life: ServedLife, night: str) -> list[str]:
    return list(dict.fromkeys(a["policy_id"] for a in recorded(life.answers(night))))
