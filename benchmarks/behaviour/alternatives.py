"""Nights that try another behaviour model: when the better one takes over, and what luck does.

**The demonstration**: ``pair`` is typed and ``history`` is named as an alternative. Each night from
the sixth on fits all nights before its two tune nights and tries what is due. Told are the nights
until ``history`` serves, how many nights it then serves, and the log loss of what was shown on the
night after the tune nights, under what served, under ``pair`` always and under ``history`` always.

**Nothing to gain**: a drawn world, and an alternative that is as good as what is typed (a little
more dropout). Told is how often it takes over when it is tried, and what that costs.

3 seeds of the logger and 40 drawn deployments; quick: 1 of 110 users with the hashing encoder,
and 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._demonstration import QUICK_USERS, demonstration, seeds, version
from benchmarks._kept import Kept
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog
from mrlm.behaviour.contract import BehaviourModel
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.meta.alternatives.alternatives_night import prediction_losses, record_of_trials
from mrlm.meta.alternatives.alternatives_record import NOTHING_TRIED
from mrlm.meta.alternatives.due_alternatives import changes_of_night
from mrlm.worlds.latent import latent_log

SEEDS, QUICK_SEEDS = 3, 1
DEPLOYMENTS, QUICK_DEPLOYMENTS = 40, 10
# Nights before the first that is tuned on, and tune nights.
FIRST, TUNE = 3, 2
HISTORY = BehaviourSettings(model="pair", alternatives=({"model": "history"},))
SMALL: dict[str, Any] = {
    "model": "pair",
    "folds": 2,
    "components": 8,
    "hidden": 16,
    "projection": 8,
    "epochs": 4,
    "learning_rate": 0.01,
}
AS_GOOD = BehaviourSettings(**SMALL, alternatives=({"dropout": 0.25},))


def run(quick: bool) -> list[Row]:
    """When the better one takes over, and how often one that is not."""
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", version(__name__))
    users = QUICK_USERS if quick else None
    own = seeds(QUICK_SEEDS if quick else SEEDS)
    better = [
        kept.of(["alternatives", users or 0, s], lambda s=s: _demonstrated(s, users))  # type: ignore[misc]
        for s in own
    ]
    many = QUICK_DEPLOYMENTS if quick else DEPLOYMENTS
    alike = [
        kept.of(["alternatives alike", s], lambda s=s: _alike(s))  # type: ignore[misc]
        for s in range(many)
    ]
    return [*_better_rows(better), *_alike_rows(alike)]


def _demonstrated(seed: int, users: int | None) -> list[dict[str, Any]]:
    return lived(demonstration(seed, users).log, HISTORY, seed)


def _alike(seed: int) -> list[dict[str, Any]]:
    log = latent_log(n_users=300, decisions_per_user=24, n_candidates=5, seed=seed, nights=12)[0]
    return lived(log, AS_GOOD, seed)


def lived(log: BanditLog, settings: BehaviourSettings, seed: int) -> list[dict[str, Any]]:
    """Night after night of a log.

    Returns:
        By night: what was ``changed``, whether the alternative was ``tried`` and what it ``left``
        to the next, and the mean log loss of the night after the tune nights under what served
        (``served``), the typed settings and the alternative.
    """
    nights = np.unique(log.night).astype(str).tolist()
    (alternative,) = settings.alternatives
    record, found = NOTHING_TRIED, []
    for last in range(FIRST + TUNE, len(nights)):
        fit_log = log.on_nights(nights[: last - TUNE])
        fitted: dict[str, BehaviourModel] = {}

        def fit(given: BehaviourSettings, rows: BanditLog = fit_log, known: Any = fitted) -> Any:
            name = given.with_changes({}).model_dump_json()
            if name not in known:
                known[name] = fit_reward_model(rows, given, seed)
            return known[name]

        changes = changes_of_night(record, settings)
        serving = fit(settings.with_changes(changes))
        tune = nights[last - TUNE : last]
        record = record_of_trials(record, settings, serving, fit, log.on_nights(tune), tune[-1])
        after = log.on_nights([nights[last]])
        found.append(
            {
                "changed": bool(changes),
                "tried": bool(record.nights[-1].trials),
                "left": bool(record.nights[-1].chosen),
                "served": _loss(serving, after),
                "typed": _loss(fit(settings.with_changes({})), after),
                "alternative": _loss(fit(settings.with_changes(alternative)), after),
            }
        )
    return found


def _loss(model: BehaviourModel, log: BanditLog) -> float:
    return float(prediction_losses(model, log).mean())


def _better_rows(lives: Sequence[list[dict[str, Any]]]) -> list[Row]:
    first = [next((i + 1 for i, n in enumerate(x) if n["left"]), None) for x in lives]
    serves = [sum(n["changed"] for n in x) for x in lives]
    nights = len(lives[0])
    losses = {k: _mean(lives, k) for k in ("served", "typed", "alternative")}
    return [
        Row(
            "demonstration: nights until history is left to the next",
            float(np.mean([nights + 1 if f is None else f for f in first])),
            note=f"by seed {first}, of {nights}; it then serves {serves} nights",
        ),
        Row(
            "demonstration: log loss of the night after, typed pair less what served",
            losses["typed"] - losses["served"],
            note=f"{losses['typed']:.5f}, {losses['served']:.5f}; history always "
            f"{losses['alternative']:.5f}",
        ),
    ]


def _alike_rows(lives: Sequence[list[dict[str, Any]]]) -> list[Row]:
    trials = [n for x in lives for n in x if n["tried"] and not n["changed"]]
    taken = float(np.mean([n["left"] for n in trials]))
    error = float(np.sqrt(0.05 * 0.95 / len(trials)))
    bar = 0.05 + 2 * error
    cost = _mean(lives, "served") - _mean(lives, "typed")
    nights = float(np.mean([n["changed"] for x in lives for n in x]))
    return [
        Row(
            "nothing to gain: trials after which the alternative takes over",
            taken,
            bar=f"<= {bar:.3f}",
            holds=taken <= bar,
            note=f"{len(trials)} trials, two binomial errors; it serves {nights:.3f} of nights",
        ),
        Row("nothing to gain: log loss of what served less typed", cost),
    ]


def _mean(lives: Sequence[list[dict[str, Any]]], key: str) -> float:
    return float(np.mean([n[key] for x in lives for n in x]))
