"""A closed loop in which small providers are worse: a floor on the effective number of providers.

Twelve providers have shares of the candidates as 1, 1/2, 1/3, ...; the smaller one is, the worse
its items are, by half a standard deviation of the expected north star from the largest to the
smallest. A column of the providers' sizes lets every policy know of it. A champion of equal
weights; each night is tuned on and served as it was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from benchmarks.meta._worlds.night import Floats, equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, RICH, Judge, judge_of, static_world
from mrlm.bandit_log import Ragged
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from mrlm.metrics.effective_number import effective_number, group_shows, rarity
from mrlm.policies.standardise import Standardiser
from mrlm.worlds.weighing import WeighingLog, WeighingWorld, softmax_with_floor

PROVIDERS, TARGET = 12, 10.0
# Below the largest provider's items, in units of the north star.
WORSE = RICH / 2
_OWN = ("size", "rarity_of_providers")
_DRAWS = 20
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Served:
    """A policy: coefficients of the pairs, and what an item gets for its provider besides."""

    pair: Floats
    provider: Floats

    def policy(self, world: WeighingWorld, pair: Floats, provider: Codes) -> Floats:
        """Probability of every candidate."""
        logit = pair @ self.pair + self.provider[provider]
        return softmax_with_floor(logit, world.candidates, world.floor)


def loop(
    seed: int, objectives: int, noise: float, rows: int, nights: int
) -> dict[str, dict[str, list[float]]]:
    """Effective number of providers and value after each night, by what is done for the former.

    ``free``: nothing; ``floor``: the floor of the search; ``by_hand``: a bonus for rarity on top of
    what ``free`` serves, as large as the night's log says that the target needs.
    """
    world, judge = static_world(seed, objectives, noise, RICH), judge_of("rich", seed, objectives)
    first = world.log(rows, None, 0, np.random.default_rng([seed, 14]))
    fresh = _providers(np.random.default_rng([seed, 15]), _DRAWS * len(judge.pair))
    draws = fresh.reshape(_DRAWS, -1)
    found: dict[str, dict[str, list[float]]] = {}
    for name, floors in (("free", {}), ("floor", {"providers": TARGET})):
        settings = TuningSettings(least_entropy=LEAST_ENTROPY, diversity_floors=floors)
        served = Served(equal_policy(fitted([first])), np.zeros(PROVIDERS))
        told = found.setdefault(name, {"number": [], "value": []})
        by_hand: dict[str, list[float]] = {"number": [], "value": []}
        for night in range(nights):
            rng = np.random.default_rng([seed, 16, night])
            log, provider = _night(world, served, rows, rng)
            served = _after(world, log, provider, served, settings)
            _tell(told, judge, draws, served)
            if name == "free":
                _tell(by_hand, judge, draws, _by_hand(world, log, provider, served))
        if name == "free":
            found["by_hand"] = by_hand
    return found


def _tell(
    told: dict[str, list[float]], judge: Judge, draws: NDArray[np.int64], served: Served
) -> None:
    """Add what a policy comes to, true on fresh contexts with fresh providers."""
    truth, n = judge.truth([0]), len(judge.pair) / judge.world.candidates
    shows, value = np.zeros(PROVIDERS), 0.0
    for provider in draws:
        policy = served.policy(judge.world, judge.pair, provider)
        shows += np.bincount(provider, policy, PROVIDERS)
        expected = truth - WORSE * _smallness(provider)
        value += float(policy @ expected / n - expected.mean()) / len(draws)
    told["number"].append(effective_number(shows))
    told["value"].append(value)


def _after(
    world: WeighingWorld,
    log: WeighingLog,
    provider: Codes,
    served: Served,
    settings: TuningSettings,
) -> Served:
    """What is served after a night."""
    own, problem = _problem(world, log, provider, served)
    result = tune(problem, settings)
    if not result.moved:
        return served
    by_pair = result.point[: -len(_OWN)]
    return Served(
        fitted([log]).policy(by_pair, served.pair),
        by_pair[0] * served.provider + own @ result.point[-len(_OWN) :],
    )


def _by_hand(world: WeighingWorld, log: WeighingLog, provider: Codes, served: Served) -> Served:
    """A policy with a bonus for rarity under it: as large as the log's contexts need."""
    groups = Ragged(np.arange(len(provider) + 1), provider)
    policy = served.policy(world, log.pair, provider)
    rare = rarity(group_shows(policy, groups))

    def with_bonus(weight: float) -> Served:
        return Served(served.pair, served.provider + weight * rare)

    def short(weight: float) -> float:
        shown = with_bonus(weight).policy(world, log.pair, provider)
        return effective_number(group_shows(shown, groups)) - TARGET

    return with_bonus(brentq(short, 0.0, 2.0, xtol=1e-4)) if short(0.0) < 0 else served


def _night(
    world: WeighingWorld, served: Served, rows: int, rng: np.random.Generator
) -> tuple[WeighingLog, Codes]:
    """A night's log, and the provider of every candidate."""
    pair, means = world.contexts(rows, rng)
    provider = _providers(rng, len(pair))
    probability = served.policy(world, pair, provider)
    # A candidate is shown with its probability: the largest logarithm with Gumbel noise.
    noisy = (np.log(probability) + rng.gumbel(size=len(probability))).reshape(rows, -1)
    shown = np.arange(rows) * world.candidates + noisy.argmax(axis=1)
    observed = means[shown][:, :-1]
    rewards = observed + world.reward_noise * rng.standard_normal(observed.shape)
    expected = world.north_star(means[shown], 0) - WORSE * _smallness(provider[shown])
    star = expected + world.noise * rng.standard_normal(rows)
    user = np.arange(rows) // world.decisions_a_user
    return WeighingLog(pair, probability, shown, user, rewards, star), provider


def _problem(
    world: WeighingWorld, log: WeighingLog, provider: Codes, served: Served
) -> tuple[Floats, TuningProblem]:
    """What a provider has in the columns of its own, (providers, 2), and the night's problem."""
    bare = problem_of(world, [log], served.pair)
    groups = Ragged(np.arange(len(provider) + 1), provider)
    every = np.arange(PROVIDERS)
    raw = np.column_stack([-_smallness(every), rarity(group_shows(log.probability, groups))])
    own = Standardiser.fit(_OWN, raw[provider]).apply(raw)
    core = (log.probability - world.floor / world.candidates) / (1 - world.floor)
    # What the heads of pairs leave of the north star, by the size of the provider shown.
    size = raw[provider, 0] - raw[provider, 0].mean()
    left = log.north_star - bare.q[log.shown, -1]
    q = bare.q.copy()
    q[:, -1] += size * (size[log.shown] @ (left - left.mean()) / (size[log.shown] ** 2).sum())
    return own, replace(
        bare,
        features=np.column_stack([bare.features, own[provider]]),
        columns=(*bare.columns, *_OWN),
        serves=(*bare.serves, None, None),
        log_anchor=np.log(np.maximum(core, 1e-300)),
        champion=log.probability,
        q=q,
        groups={"providers": groups},
    )


def _providers(rng: np.random.Generator, candidates: int) -> Codes:
    """Provider of each candidate, the largest one 0."""
    share = 1 / np.arange(1, PROVIDERS + 1)
    return rng.choice(PROVIDERS, candidates, p=share / share.sum())


def _smallness(provider: Codes) -> Floats:
    """From 0 for the largest provider to 1 for the smallest."""
    return np.asarray(provider / (PROVIDERS - 1), np.float64)
