"""Where what is shown today changes what can be won tomorrow, and where it does not.

``mrlm.worlds.tabular.satisfaction``: what is clicked most wears users out. A learner that looks at
the next click alone then ends below chance; one that looks ahead should not. With the effect
switched off nothing is won by looking ahead, and nothing should be lost. 10,000 transitions of a
uniform logger, value from the first state on at discount .9, over the optimum's. Three sequential
learners stand for their room, all bandit learners for theirs; the best of each is compared.

10 seeds of the logger; quick: 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from benchmarks.learners._finished import finished
from benchmarks.learners._tabular_field import DISCOUNT, World, sample_of, scores_of
from benchmarks.rows import Row
from mrlm.learners.registry import LEARNERS
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.learners.settings import LearningSettings
from mrlm.worlds.tabular import (
    greedy,
    policy_iteration,
    satisfaction,
    start_value,
    tabular_log,
    uniform,
)

SEEDS, USERS, ROUNDS = 10, 40, 250
SEQUENTIAL, TIE = ("q_learning", "double_q_learning", "advantage_weighted_regression"), 0.01
WORLDS = {"with the effect": True, "without the effect": False}
_SETTINGS = LearningSettings(
    epochs=12,
    batch_size=128,
    learning_rate=3e-3,
    weight_decay=0.0,
    dropout=0.0,
    discount=DISCOUNT,
    conservative=0.01,
    target_every=15,
    max_decisions=1_000_000,
)


def run(quick: bool) -> list[Row]:
    """Each learner's value over the optimum's, and the best sequential one's less a bandit's."""
    kept, rows = finished(__name__), []
    for name, effect in WORLDS.items():
        cells = [
            kept.of([name, seed], lambda effect=effect, seed=seed: cell(effect, seed))  # type: ignore[misc]
            for seed in range(1 if quick else SEEDS)
        ]
        rows += _rows(name, cells, effect, judged=not quick)
    return rows


def contenders() -> list[str]:
    """The sequential ones, and every learner that does not look ahead."""
    return [*SEQUENTIAL, *(n for n, k in LEARNERS.items() if not isinstance(k, SequentialLearner))]


def cell(effect: bool, seed: int) -> dict[str, float]:
    """Value over the optimum's of each contender, greedy, and of chance."""
    model = satisfaction(effect)
    world = World(model, np.ones(1), uniform(model))
    log = tabular_log(model, world.logger, users=USERS, rounds=ROUNDS, seed=seed)
    sample = sample_of(world, log)
    best, _ = policy_iteration(model, world.weights, DISCOUNT)
    policies = {"chance": uniform(model)}
    for name in contenders():
        network = LEARNERS[name].learn(sample, _SETTINGS, seed).network
        policies[name] = greedy(model, scores_of(network, model)[:, 0])
    top = float(start_value(model, best, DISCOUNT)[0])
    return {n: float(start_value(model, p, DISCOUNT)[0]) / top for n, p in policies.items()}


def _rows(world: str, cells: Sequence[Mapping[str, Any]], effect: bool, judged: bool) -> list[Row]:
    share = {n: np.array([cell[n] for cell in cells]) for n in cells[0]}
    bandits = share.keys() - {*SEQUENTIAL, "chance"}
    ours, bandit = (
        max(sorted(names), key=lambda n: share[n].mean()) for names in (SEQUENTIAL, bandits)
    )
    less = share[ours] - share[bandit]
    count, mean = len(less), float(less.mean())
    error = float(less.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0
    lower = mean - float(stdtrit(max(count - 1, 1), 0.95)) * error
    holds = lower > 0 if effect else abs(mean) <= TIE
    rows = [
        Row(f"long term, {world}: value over the optimum's, {n}", float(v.mean()))
        for n, v in sorted(share.items(), key=lambda entry: -entry[1].mean())
    ]
    return [
        *rows,
        Row(
            f"long term, {world}: the best sequential less the best bandit learner",
            mean,
            bar="lower end above 0" if effect else f"within {TIE:g} of 0",
            holds=holds,
            note=f"{count} seeds, {ours} against {bandit}; one-sided 95 % lower end {lower:+.4f}",
        ).where(judged),
    ]
