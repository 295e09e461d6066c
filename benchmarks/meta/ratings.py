"""Real ratings in a closed loop: weights that learn from a north star that comes three nights late.

Twenty nights of the demonstration's complete ratings, so the true north star of every policy is
known. Each night's policy writes a log; what users liked is seen at once, what delighted them three
nights later. At the end of a night the heads (``pair``) are fitted on the nights that are known but
for the newest two, and the weights tuned on these two and on the three that are still open, by
their early rewards. What a strategy chooses serves the next night. Nobody has a gate, and all have
the same heads, floor, limits, users and draws: only the strategy differs. Three ratings come on
offer for each one shown and the oldest leave, for if what is not shown stayed, all would be shown
in the end by any policy.

Beside the strategies, without a bar: the logger that all begin with, the item mean (greedy but for
the floor), and the weights that the truth of the newest night chooses for heads of its own loop,
which nobody can run. Values are means over the nights that another policy than the logger can
serve.

10 seeds of arrivals and draws, users the same; quick: 1 seed of a smaller world.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmarks._demonstration import ratings, settings
from benchmarks.learners.challenger import logger_policy
from benchmarks.loop._challengers import HEADS, SIMPLE, best_of_class
from benchmarks.meta._finished import finished
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog, Objective
from mrlm.bandit_log.objectives import north_star
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.learners.baselines import BASELINES
from mrlm.meta.state.meta_state import MetaState
from mrlm.meta.tuned_night import tuned_night
from mrlm.policies.contract import Policy
from mrlm.policies.greedy import Greedy
from mrlm.worlds.live_replay import LiveReplay, ShownNight
from mrlm.worlds.replayed import ReplaySettings

# Nights until the north star of a decision is seen.
DELAY = 3
# Ratings that come on offer for each one shown: if what is not shown stayed, all would be shown.
TURNOVER = 3
# Nights with a known north star to fit on, at least and at most, and to tune on after those.
LEAST_FIT, FIT, TUNE = 1, 8, 2
# The first night, from 0, that can have another policy than the logger.
FIRST = LEAST_FIT + TUNE + DELAY


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Attributes:
        nights: of each loop.
        users: the first so many of the ratings, each once.
    """

    nights: int
    users: int


SEEDS, QUICK_SEEDS = 10, 1
FULL, QUICK = Size(nights=20, users=450), Size(nights=9, users=120)
# Of the one-sided test.
LEVEL = 0.05
OURS, FIXED, REGRESSION = "ours", "fixed weights", "regression"
LOGGER, ITEM_MEAN, BEST = "logger", "item mean", "weights by the truth"
RIVALS = (FIXED, REGRESSION, LOGGER, ITEM_MEAN)
SECONDS = 1200.0
# Nights at the end, long after the first steps.
LAST = 5


def objectives() -> tuple[Objective, ...]:
    """The demonstration's, with a north star that is seen ``DELAY`` nights late."""
    return tuple(
        replace(o, window_nights=DELAY) if o.role == "north_star" else o
        for o in settings().objective_tuple
    )


def world_of(seed: int, size: Size) -> LiveReplay:
    """The world of a seed, before its first night; the hashing encoder embeds its films."""
    of = settings()
    return LiveReplay(
        ratings(size.users),
        seed=seed,
        settings=ReplaySettings(nights=size.nights),
        turnover=TURNOVER,
        objectives=objectives(),
        history_objective=of.state.history_objective,
        history_length=of.state.history_length,
    )


def as_seen(log: BanditLog, tonight: np.datetime64) -> BanditLog:
    """A log as it reads at the end of a night: what has not arrived by then is open.

    Args:
        log: of any nights up to ``tonight``, with every reward.
        tonight: datetime64[D].
    """
    waits = np.array([o.window_nights for o in log.objectives]) * np.timedelta64(1, "D")
    arrived = log.night[:, None] + waits <= tonight
    return replace(log, rewards=np.where(arrived, log.rewards, np.nan), final=arrived)


@dataclass
class Seen:
    """What one loop has shown, of which only what has arrived is given out.

    Attributes:
        shown: a night each, oldest first.
    """

    shown: list[ShownNight] = field(default_factory=list)

    @property
    def final(self) -> int:
        """How many nights, from the oldest, have a north star that has arrived."""
        return max(len(self.shown) - DELAY, 0)

    @property
    def enough(self) -> bool:
        """Whether there are nights to fit and to tune on."""
        return self.final >= LEAST_FIT + TUNE

    @property
    def names(self) -> list[str]:
        """The nights, ISO dates."""
        return [str(shown.log.night[0]) for shown in self.shown]

    def known(self) -> BanditLog:
        """The newest nights to fit and to tune on, together."""
        return self._between(max(self.final - TUNE - FIT, 0), self.final)

    def heads(self) -> RewardModel:
        """Heads of the fit nights."""
        end = self.final - TUNE
        return fit_reward_model(self._between(max(end - FIT, 0), end), HEADS, settings().seed)

    def to_tune_on(self) -> tuple[BanditLog, list[str]]:
        """The nights after the fit nights, whose newest are still open, and their names."""
        first = self.final - TUNE
        return self._between(first, len(self.shown)), self.names[first:]

    def _between(self, first: int, end: int) -> BanditLog:
        logs = [shown.log for shown in self.shown[first:end]]
        return as_seen(BanditLog.concat(logs), self.shown[-1].log.night[0])


class Server(Protocol):
    """Serves the nights, and learns at the end of each."""

    policy: Policy

    def after(self, seen: Seen) -> None:
        """Choose who serves the next night; asked once there are nights enough."""
        ...


@dataclass
class Logger:
    """The policy that every loop begins with, for ever."""

    policy: Policy = field(default_factory=logger_policy)

    def after(self, seen: Seen) -> None:
        """Nothing."""


@dataclass
class ItemMean(Logger):
    """What delighted most on the nights that are known, greedy but for the floor."""

    def after(self, seen: Seen) -> None:
        """See ``Server``."""
        star = north_star(objectives()).name
        scorer = BASELINES[SIMPLE](seen.known(), star)
        self.policy = Greedy(scorer, settings().tuning.floor, SIMPLE)


@dataclass
class BestOfClass(Logger):
    """The weights over heads of the fit nights that are best by the newest night's truth."""

    def after(self, seen: Seen) -> None:
        """See ``Server``."""
        newest = seen.shown[-1]
        star = newest.log.column(north_star(newest.log.objectives).name)
        scorers = (seen.heads(),)
        self.policy = best_of_class(newest.log, newest.truth[:, star], scorers, logger_policy())


@dataclass
class MetaUpdated(Logger):
    """What a strategy chooses serves the next night, without a gate.

    Attributes:
        strategy: as ``tuning.strategy`` names it.
        state: from night to night.
        moved: nights after which another policy served, from 0.
    """

    strategy: str = "pessimistic_bound"
    state: MetaState = field(default_factory=MetaState)
    moved: list[int] = field(default_factory=list)

    def after(self, seen: Seen) -> None:
        """See ``Server``."""
        log, nights = seen.to_tune_on()
        names = [o.name for o in log.objectives]
        found = tuned_night(
            log,
            log.objectives,
            (seen.heads(),),
            self.policy,
            self.state,
            settings().tuning.model_copy(update={"strategy": self.strategy}),
            nights=nights,
            learned=(),
            horizon=(),
            weights=dict.fromkeys(names, 1 / len(names)),
            seed=settings().seed,
        )
        self.policy, self.state = found.policy, found.update.state
        self.moved += [len(seen.shown) - 1] if found.result.moved else []


def life(begin: Callable[[], Server], seed: int, size: Size) -> dict[str, Any]:
    """A loop's true mean north star a slot of every night, and its cost.

    Returns:
        ``value``, by night, expected over the probabilities of the policy that served; ``slots``,
        by night; ``moved``, nights after which a strategy chose another policy, None of what is no
        strategy; ``seconds`` of the processor.
    """
    since = time.process_time()
    world, server, seen = world_of(seed, size), begin(), Seen()
    for night in range(size.nights):
        seen.shown.append(world.show(server.policy))
        if seen.enough and night + 1 < size.nights:
            server.after(seen)
    return {
        "value": [_value(shown) for shown in seen.shown],
        "slots": [len(shown.log) for shown in seen.shown],
        "moved": server.moved if isinstance(server, MetaUpdated) else None,
        "seconds": time.process_time() - since,
    }


def _value(shown: ShownNight) -> float:
    star = shown.log.column(north_star(shown.log.objectives).name)
    return float(np.dot(shown.log.candidate_propensity, shown.truth[:, star])) / len(shown.log)


SERVERS: dict[str, Callable[[], Server]] = {
    OURS: MetaUpdated,
    FIXED: partial(MetaUpdated, strategy="fixed_weights"),
    REGRESSION: partial(MetaUpdated, strategy="regression_weights"),
    LOGGER: Logger,
    ITEM_MEAN: ItemMean,
    BEST: BestOfClass,
}
Lives = Mapping[str, Sequence[Mapping[str, Any]]]


def run(quick: bool) -> list[Row]:
    """True values of all loops, and ours less each of the others, paired over seeds."""
    kept, size = finished(__name__), QUICK if quick else FULL
    lives: dict[str, list[Mapping[str, Any]]] = {name: [] for name in SERVERS}
    for seed in range(QUICK_SEEDS if quick else SEEDS):
        for name, begin in SERVERS.items():
            key: list[str | int] = [name, seed, size.nights, size.users]
            lives[name].append(kept.of(key, partial(life, begin, seed, size)))
    return [
        *(_value_of(lives, name) for name in SERVERS),
        *(_less(lives, name, judged=name in (FIXED, REGRESSION) and not quick) for name in RIVALS),
        *(_less(lives, name, judged=False, nights=LAST) for name in (FIXED, REGRESSION)),
        _cost(lives),
    ]


def by_seed(lives: Lives, name: str, nights: int | None = None) -> NDArray[np.float64]:
    """Mean over the last nights, shape (seeds,); None: those that not only the logger can serve."""
    first = FIRST if nights is None else -nights
    return np.array([np.mean(life["value"][first:]) for life in lives[name]])


def _value_of(lives: Lives, name: str) -> Row:
    found, nights = by_seed(lives, name), len(lives[name][0]["value"])
    note = f"by seed {found.min():.4f} to {found.max():.4f}"
    moved = [len(life["moved"]) for life in lives[name] if life["moved"] is not None]
    if moved:
        note += f"; a new policy on {np.mean(moved):.1f} of {nights - FIRST} nights"
    star = north_star(objectives())
    measure = f"true {star.name}, nights {FIRST + 1} to {nights}: {name}"
    return Row(measure, float(found.mean()), note=note)


def _less(lives: Lives, other: str, *, judged: bool, nights: int | None = None) -> Row:
    """Student's one-sided lower end of the mean difference, over seeds."""
    less = by_seed(lives, OURS, nights) - by_seed(lives, other, nights)
    mean, many = float(less.mean()), len(less)
    note, least = "by seed " + ", ".join(f"{x:+.4f}" for x in less), -np.inf
    if many > 1:
        error = float(less.std(ddof=1) / np.sqrt(many))
        least = mean - float(stdtrit(many - 1, 1 - LEVEL)) * error
        note = f"lower end {least:+.4f}, standard error {error:.4f}; {note}"
    return Row(
        f"{OURS} less {other}" + ("" if nights is None else f", last {nights} nights"),
        mean,
        bar="one-sided 95 % lower end above 0",
        holds=least > 0,
        note=note,
    ).where(judged)


def _cost(lives: Lives) -> Row:
    every = [life for found in lives.values() for life in found]
    slots = np.concatenate([life["slots"] for life in every])
    seconds = sum(life["seconds"] for life in every)
    return Row(
        "processor seconds, all loops",
        seconds,
        bar=f"<= {SECONDS:g}",
        holds=bool(seconds <= SECONDS),
        note=f"{slots.mean():.0f} decisions a night; "
        + ", ".join(f"{n} {np.mean([x['seconds'] for x in f]):.0f}" for n, f in lives.items())
        + " a loop",
    )
