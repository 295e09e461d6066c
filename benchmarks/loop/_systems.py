"""The five systems: what each makes of a night, and who serves the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks._demonstration import settings
from benchmarks.learners.challenger import logger_policy
from benchmarks.loop._challengers import (
    FIT_NIGHTS,
    Memory,
    Nights,
    best_of_class,
    heads_of,
    item_mean_of,
    learn,
    nights_of,
)
from benchmarks.loop._faults import Fault, as_saved
from benchmarks.loop._gate import Registry
from benchmarks.loop._world import Past
from mrlm.bandit_log.objectives import north_star
from mrlm.learners.baselines import BASELINES
from mrlm.policies.contract import Policy
from mrlm.policies.greedy import Greedy

GATED, UNGATED, FROZEN = "gated", "ungated", "frozen"
ITEM_MEAN, ORACLE = "item mean", "oracle"
# What the gated system says first of a night.
PROMOTED, ON_TRIAL = "promoted", "on trial"


class System(Protocol):
    """What serves every night, and learns from it.

    Attributes:
        policy: what serves.
        validates: whether it asks of a night what validation asks of propensities.
    """

    policy: Policy
    validates: bool

    def after(self, night: str, past: Past, fault: Fault | None) -> str:
        """Learn at the end of a night; in words what changed for the next, "" for nothing."""
        ...


@dataclass
class Frozen:
    """The first champion for ever."""

    folder: Path
    policy: Policy = field(default_factory=logger_policy)
    validates: bool = False

    def after(self, night: str, past: Past, fault: Fault | None) -> str:
        """Nothing."""
        return ""


@dataclass
class ItemMean:
    """What was liked most on the newest nights, from the first on whose north star is final."""

    folder: Path
    policy: Policy = field(default_factory=logger_policy)
    validates: bool = False

    def after(self, night: str, past: Past, fault: Fault | None) -> str:
        """Fit it again."""
        of = settings()
        newest = past.final[-(FIT_NIGHTS + of.split.tune_nights) :]
        if newest:
            scorer = BASELINES["item_mean"](past.on(newest), north_star(of.objective_tuple).name)
            self.policy = Greedy(scorer, of.tuning.floor, ITEM_MEAN)
        return ""


@dataclass
class Ungated:
    """Each night's challenger serves the next night, whatever it is."""

    folder: Path
    policy: Policy = field(default_factory=logger_policy)
    validates: bool = False
    memory: Memory = field(default_factory=Memory)

    def after(self, night: str, past: Past, fault: Fault | None) -> str:
        """Learn, and serve."""
        nights = newest(past)
        if not nights.enough:
            return ""
        found = as_saved(learn(past, nights, self.policy, self.memory), fault)
        moved = found.policy is not self.policy
        self.policy, self.memory = found.policy, found.memory
        return "a new policy serves" if moved else ""


@dataclass
class Oracle:
    """The weights that are best by the truth of the newest night, over heads of its own log."""

    folder: Path
    policy: Policy = field(default_factory=logger_policy)
    validates: bool = False

    def after(self, night: str, past: Past, fault: Fault | None) -> str:
        """Fit heads, and look up the truth."""
        nights = newest(past)
        if not nights.enough:
            return ""
        log, truth = past.logs[-1], past.truth[-1]
        star = log.column(north_star(log.objectives).name)
        scorers = heads_of(past, nights), item_mean_of(past, nights)
        self.policy = best_of_class(log, truth[:, star], scorers, logger_policy())
        return "a new policy serves"


@dataclass
class Gated:
    """The library's rule: one challenger at a time is tested, and promoted once it is proven.

    While one is under test no other is made: it would wait, and nothing would be made of it.
    """

    folder: Path
    policy: Policy = field(default_factory=logger_policy)
    validates: bool = True
    memory: Memory = field(default_factory=Memory)
    registry: Registry = field(init=False)

    def __post_init__(self) -> None:
        self.registry = Registry.begin(self.folder, self.policy)

    def after(self, night: str, past: Past, fault: Fault | None) -> str:
        """Make or test a challenger; serve it if the gate promotes it."""
        look = self.registry.look(night, past)
        if look is None:
            return ""
        if look.maker == look.run_key:
            champion = self.registry.policies[self.registry.champion]
            found = as_saved(learn(past, look.nights, champion, self.memory), fault)
            self.memory = found.memory
            if found.policy is champion:
                return "unchanged: the challenger is the champion itself"
            self.registry.keep(look, found)
        verdict = self.registry.judge(look, past)
        self.policy = self.registry.serving
        said = PROMOTED if verdict.promote else ON_TRIAL if verdict.goes_on else "given up"
        return f"{said}: the challenger of {look.maker}: {verdict.reason}"


def newest(past: Past) -> Nights:
    """To fit and to tune on where nothing is kept to judge on."""
    final = past.final
    return nights_of(final, {*final[-1:]})


SYSTEMS: dict[str, Callable[[Path], System]] = {
    GATED: Gated,
    UNGATED: Ungated,
    FROZEN: Frozen,
    ITEM_MEAN: ItemMean,
    ORACLE: Oracle,
}
