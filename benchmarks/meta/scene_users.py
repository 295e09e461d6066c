"""Scenes known by their users: what a scene of few decisions gains by who has come to it.

Twelve scenes with traffic in proportion to 1/k, and four new ones with 30 decisions each; 5
objectives, 12,000 decisions in all, noise 4. Each weight spreads over scenes by .4 of the north
star's size, three quarters of which three numbers of the scene tell. Nobody states these numbers:
each user's state is those of the user's scene (*telling*), or of no scene (*silent*), with noise of
one standard deviation, in eight dimensions, and the scene's vector is the mean of its users, drawn
to that of all (``drawn_to_mean``). Beside both: scenes whose users are not looked at. All three by
``scene_choice``.

Regret is that of ``meta.segments``, over scenes by traffic and over the new ones alike. 20 seeds;
quick: 2.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.meta._finished import finished
from benchmarks.meta._worlds.night import Floats, equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, RICH, Judge
from benchmarks.rows import Row
from mrlm.meta.segments.scene_choice import scene_choice
from mrlm.meta.segments.scene_users import drawn_to_mean
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from mrlm.worlds.weighing import segmented

OBJECTIVES, ROWS, NOISE, APART = 5, 12_000, 4.0, 0.4
SCENES, NEW, NEW_ROWS, DIMENSIONS = 12, 4, 30, 8
SEEDS, QUICK_SEEDS = 20, 2
BETTER, NOT_WORSE = 0.9, 0.02
SETTINGS = TuningSettings(least_entropy=LEAST_ENTROPY, least_effective_rows=1)
WITHOUT, TELLING, SILENT = "not looked at", "telling", "silent"


def run(quick: bool) -> list[Row]:
    """Regret of new scenes and of all others, by what is known of their users."""
    kept = finished(__name__)
    seeds = range(QUICK_SEEDS if quick else SEEDS)
    cells = [kept.of([seed], partial(cell, seed)) for seed in seeds]
    mean = {key: float(np.mean([c[key] for c in cells])) for key in cells[0]}
    rows = []
    for users in (TELLING, SILENT):
        for which in ("new scenes", "scenes with traffic"):
            ours, peer = mean[f"{users}, {which}"], mean[f"{WITHOUT}, {which}"]
            less = [c[f"{users}, {which}"] - c[f"{WITHOUT}, {which}"] for c in cells]
            gains = users == TELLING and which == "new scenes"
            rows.append(
                Row(
                    f"regret of {which}, users {users}",
                    ours,
                    peer,
                    bar=f"<= {BETTER:g} x" if gains else f"<= + {NOT_WORSE:g}",
                    holds=ours <= BETTER * peer if gains else ours <= peer + NOT_WORSE,
                    note=f"peer: users not looked at; {len(cells)} seeds, difference by seed "
                    f"{min(less):+.3f} to {max(less):+.3f}",
                )
            )
    return rows


def cell(seed: int) -> dict[str, float]:
    """Regret of new scenes and of the others, by what is known of their users."""
    rng = np.random.default_rng([seed, 19])
    world = segmented(OBJECTIVES, NOISE, rng, size=RICH, apart=APART, segments=SCENES, unseen=NEW)
    share = NEW_ROWS / ROWS
    traffic = np.where(world.traffic > 0, world.traffic * (1 - NEW * share), share)
    world = replace(world, traffic=traffic)
    champion = equal_policy(fitted([world.log(ROWS, None, rng)[0]]))
    log, segment = world.log(ROWS, champion, rng)
    heads = fitted([log])
    problem = problem_of(world.common, [log], champion)
    common = tune(problem, SETTINGS).point
    scene = np.array([f"scene {s:02d}" for s in segment], object)
    judge = Judge.of(world.common, seed)
    own = [replace(judge, world=world.of(s)) for s in range(len(traffic))]
    best = np.array([j.of_weights(j.best([0]), 0) for j in own])
    equal = np.array([j.of_weights(judge.equal, 0) for j in own])
    found = {}
    for users, told in ((WITHOUT, None), (TELLING, world.features), (SILENT, 0 * world.features)):
        vectors = None if told is None else _users(told, segment, log.user, rng)
        points = scene_choice(problem, SETTINGS, scene, common, seed, users=vectors).points
        got = np.array(
            [
                j.value(j.pair @ heads.policy(points.get(name, common), champion), j.truth([0]))
                for j, name in zip(own, _names(len(own)), strict=True)
            ]
        )
        for which, weight in (
            ("new scenes", np.arange(len(own)) >= SCENES),
            ("scenes with traffic", np.where(np.arange(len(own)) < SCENES, traffic, 0.0)),
        ):
            found[f"{users}, {which}"] = float(weight @ (best - got) / (weight @ (best - equal)))
    return found


def _names(scenes: int) -> list[str]:
    return [f"scene {s:02d}" for s in range(scenes)]


def _users(
    told: Floats, segment: NDArray[np.int64], user: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, Floats]:
    """Vector of each scene's users: their scene's numbers, with noise of their own."""
    _, first = np.unique(user, return_index=True)
    scene = segment[first]
    turned = np.linalg.qr(rng.standard_normal((DIMENSIONS, DIMENSIONS)))[0][: told.shape[1]]
    states = told[scene] @ turned + rng.standard_normal((len(scene), DIMENSIONS))
    total = np.stack([states[scene == s].sum(axis=0) for s in range(len(told))])
    square = np.bincount(scene, (states**2).sum(axis=1), len(told)).astype(np.float64)
    users = np.bincount(scene, minlength=len(told)).astype(np.float64)
    vectors = drawn_to_mean(total, square, users)
    return dict(zip(_names(len(told)), vectors, strict=True))
