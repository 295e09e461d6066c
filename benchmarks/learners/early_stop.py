"""Passes that a learner takes: as many as held-back users tell, or a fixed number.

A drawn world, a log of few, some and many users: a learner takes the settings' passes, and as many
as ``learn_until_best`` finds of at most sixteen. Judged by the true probability of a like under the
policy that is greedy by the score, with the floor, on two later nights. The peer of a row is the
same learner at the fixed number.

3 seeds. Quick: 1 seed, the two smaller logs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.learners._finished import finished
from benchmarks.rows import Row
from mrlm.bandit_log.ragged import segment_sum
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.learners.early_stop import learn_until_best
from mrlm.learners.inputs import learning_sample
from mrlm.learners.registry import LEARNERS
from mrlm.learners.settings import LearningSettings
from mrlm.policies.greedy import greedy_with_floor
from mrlm.worlds.latent import latent_log

SEEDS, QUICK_SEEDS = 3, 1
USERS = (50, 200, 1000)
MOST = 16
NAMES = ("policy_gradient", "weighted_classification")
_DECISIONS, _OFFERED, _FIT = 12, 6, 4


def run(quick: bool) -> list[Row]:
    """True values by learner and size of the log."""
    kept = finished(__name__)
    rows = []
    for users in USERS[:-1] if quick else USERS:
        cells = [
            kept.of(
                ["early_stop", users, seed],
                lambda users=users, seed=seed: cell(users, seed),  # type: ignore[misc]
            )
            for seed in range(1, (QUICK_SEEDS if quick else SEEDS) + 1)
        ]
        rows += _rows(users, cells)
    return rows


def cell(users: int, seed: int) -> dict[str, Any]:
    """Of each learner: passes found, and true values of both; and the logger's."""
    log, truth = latent_log(users, _DECISIONS, _OFFERED, seed)
    nights = sorted(set(log.night.astype(str)))
    fit, later = log.on_nights(nights[:_FIT]), log.on_nights(nights[_FIT:])
    true = truth[:, 0].reshape(len(log), _OFFERED)[log.night >= later.night.min()].ravel()
    model = fit_reward_model(fit, BehaviourSettings(), seed)
    settings = LearningSettings()
    sample = learning_sample(fit, model, {"like": 1.0}, settings, seed)
    offsets = later.decisions.offsets

    def value(probabilities: Any) -> float:
        return float(segment_sum(probabilities * true, offsets).mean())

    found: dict[str, Any] = {"logger": value(later.candidate_propensity)}
    for name in NAMES:
        stopped = learn_until_best(
            LEARNERS[name], sample, settings.model_copy(update={"most_epochs": MOST}), seed
        )
        fixed = LEARNERS[name].learn(sample, settings, seed)
        both = [
            value(greedy_with_floor(s.score(later.decisions)[:, 0], offsets, settings.floor))
            for s in (stopped.scorer, fixed)
        ]
        found[name] = [stopped.epochs, *both]
    return found


def _rows(users: int, cells: Sequence[Mapping[str, Any]]) -> list[Row]:
    logger = float(np.mean([c["logger"] for c in cells]))
    rows = []
    for name in NAMES:
        passes, found, fixed = np.array([c[name] for c in cells]).T
        taken = ", ".join(str(int(p)) for p in passes)
        rows.append(
            Row(
                f"true value, {name}, {users * _DECISIONS * _FIT // 6} rows",
                float(found.mean()),
                float(fixed.mean()),
                note=f"passes by seed {taken}; peer: {LearningSettings().epochs} passes; "
                f"logger {logger:.4f}",
            )
        )
    return rows
