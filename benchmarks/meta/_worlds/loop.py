"""Nights in a row: a policy writes a log, the log changes the policy, which writes the next."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.meta._worlds.night import Heads, equal_policy, fitted, problem_of
from mrlm.meta.settings import TuningSettings
from mrlm.meta.state.meta_state import MetaState
from mrlm.meta.tune import tune
from mrlm.meta.update import update
from mrlm.worlds.weighing import WeighingLog, WeighingWorld

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Nights:
    """What happened in a closed loop of T nights.

    Attributes:
        policies: float64, shape (T, d * d), coefficients of the policy that wrote each night.
        changes: nights after which the update began anew.
        seconds: of the processor, of each update, without fitting heads.
    """

    policies: Floats
    changes: tuple[int, ...]
    seconds: tuple[float, ...]


def nights_of(
    world: WeighingWorld,
    settings: TuningSettings,
    *,
    nights: int,
    rows: int,
    window: int,
    seed: int,
) -> Nights:
    """The loop from equal weights of heads that were fitted on one night of uniform shows.

    Args:
        world: that is logged.
        settings: with the strategy; what it chooses is served as it is, without a gate.
        nights: T.
        rows: decisions of each night.
        window: nights that heads and weights are fitted on, if there was no change.
        seed: of the logs; the same log is written for the same policy whatever the strategy.
    """
    first = fitted([world.log(rows, None, 0, np.random.default_rng([seed, 3]))])
    policy = equal_policy(first)
    logs: dict[str, WeighingLog] = {}
    state, policies, changes, seconds = MetaState(), [], [], []
    for night in range(nights):
        policies.append(policy)
        logs[_date(night)] = world.log(rows, policy, night, np.random.default_rng([seed, 4, night]))
        kept = [date for date in sorted(logs)[-window:] if date >= state.since]
        problem = problem_of(world, [logs[date] for date in kept], policy)
        begin = time.process_time()
        done = update(state, problem, kept, settings, seed)
        result = done.result
        seconds.append(time.process_time() - begin)
        if done.dropped:
            # Heads that were fitted across a change say little of what came after it.
            changes.append(night)
            kept = [date for date in kept if date >= done.state.since]
            problem = problem_of(world, [logs[date] for date in kept], policy)
            begin = time.process_time()
            result = tune(problem, settings, state.start(problem.columns), seed)
            seconds[-1] += time.process_time() - begin
        state = done.state
        if result.moved:
            heads: Heads = fitted([logs[date] for date in kept])
            policy = heads.policy(result.point, policy)
    return Nights(np.array(policies), tuple(changes), tuple(seconds))


def _date(night: int) -> str:
    return str(np.datetime64("2026-01-01") + night)
