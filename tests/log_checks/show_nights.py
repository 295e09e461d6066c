"""Nights whose propensities are known, as arrays: what was true, and what was logged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Ragged, rows, segment_sum
from mrlm.log_checks.show_counts import (
    BINS,
    HALF,
    Bins,
    ShowCounts,
    count_inverse_shows,
    count_shows,
)
from mrlm.log_checks.shows import ShowLimits

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ShowWorld:
    """Sizes and rates of a log.

    Attributes:
        slots: on a usual night; a real night has a random number around it.
        items: in the catalogue.
        candidates: smallest and largest number of a slot.
        coefficient: of the softmax over the items' log popularity, by policy.
        floor: share of uniform choice.
        taste: standard deviation of what a user's own taste adds to a logit.
        positions: of a request.
        scenes: names.
        nightly: standard deviation of what a night adds to the logits of a category's items, and
            of the logs of its sizes and rates.
    """

    slots: int
    items: int
    candidates: tuple[int, int]
    coefficient: dict[str, float]
    floor: float
    taste: float
    positions: int
    scenes: tuple[str, ...]
    nightly: float = 0.1


CATEGORIES = 8


# As the demonstration's: few slots, one policy, one scene.
SMALL = ShowWorld(1_800, 120, (16, 24), {"softmax": 0.9}, 0.1, 0.0, 4, ("home",))
LARGE = ShowWorld(
    9_000, 700, (5, 40), {"champion": 0.9, "explore": 0.3}, 0.1, 0.6, 6, ("home", "search", "cart")
)


@dataclass(frozen=True)
class ShowNight:
    """One night.

    Attributes:
        candidates: item numbers of each slot.
        truth: probability of every candidate.
        logged: what the log says of it.
        chosen: place of the shown item, int64, shape (n,).
        groups: kind to labels, object, shape (n,).
        items: labels of items.
    """

    candidates: Ragged
    truth: Floats
    logged: Floats
    chosen: NDArray[np.int64]
    groups: dict[str, NDArray[Any]]
    items: NDArray[Any]

    def counts(self) -> ShowCounts:
        """What a night's checks read."""
        return count_shows(
            self.candidates, self.logged, self.chosen, self.groups, self.items, sum_tolerance=0.01
        )


def weights(world: ShowWorld) -> Floats:
    """Log popularity of every item, the same on all nights."""
    rng = np.random.default_rng(world.items)
    return rng.normal(0.0, 1.2, world.items)


def show_night(
    world: ShowWorld,
    seed: int,
    behave: Callable[[ShowNight, np.random.Generator], Floats] | None = None,
) -> ShowNight:
    """A night whose log is true; ``behave`` gives other probabilities, by which it chooses then."""
    rng = np.random.default_rng(seed)
    n = int(world.slots * np.exp(2 * world.nightly * rng.normal()))
    mood = world.nightly * rng.normal(size=CATEGORIES)
    requests = -(-n // world.positions)
    request = np.repeat(np.arange(requests), world.positions)[:n]
    position = np.tile(np.arange(1, world.positions + 1), requests)[:n]
    many = rng.integers(world.candidates[0], world.candidates[1] + 1, n)
    offsets = np.concatenate([[0], np.cumsum(many)])
    # Distinct items: consecutive ones of a random order, from a random start.
    order = rng.permutation(world.items)
    start = rng.integers(0, world.items, n)
    step = np.arange(offsets[-1]) - np.repeat(offsets[:-1], many)
    item = order[(np.repeat(start, many) + step) % world.items]
    policies = np.array(list(world.coefficient), object)
    policy = rng.integers(0, len(policies), requests)[request]
    late = 15 + 10 * world.nightly * rng.normal()
    hour = np.clip(rng.normal(late, 5, requests), 0, 23).astype(int)[request]
    scene = np.array(world.scenes, object)[rng.integers(0, len(world.scenes), requests)[request]]
    row = rows(offsets)
    strength = np.array([world.coefficient[p] for p in policies])[policy]
    logit = strength[row] * weights(world)[item] + mood[item % CATEGORIES]
    logit += world.taste * rng.normal(size=len(item))
    weight = np.exp(logit)
    softmax = weight / segment_sum(weight, offsets)[row]
    truth = (1 - world.floor) * softmax + world.floor / many[row]
    groups = {
        "position": position.astype(str).astype(object),
        "scene": scene,
        "policy": policies[policy],
        "hour": np.array([f"{h:02d}" for h in hour], object),
        HALF: (rng.random(requests) < 0.5)[request].astype(int).astype(str).astype(object),
    }
    names = np.array([f"m{i}" for i in range(world.items)], object)
    night = ShowNight(Ragged(offsets, item), truth, truth, np.zeros(n, np.int64), groups, names)
    if behave is not None:
        night = replace(night, truth=behave(night, rng))
    return replace(night, chosen=draw(night.candidates, night.truth, rng))


def draw(candidates: Ragged, q: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Place of the candidate that each slot draws, int64, shape (n,)."""
    noise = np.log(np.maximum(q, 1e-300)) + rng.gumbel(size=len(q))
    offsets = candidates.offsets
    best = np.maximum.reduceat(noise, offsets[:-1])
    at = np.flatnonzero(noise == best[candidates.row])
    return at - offsets[:-1]


def uniform(night: ShowNight) -> Floats:
    """1/K of every candidate."""
    return (1.0 / night.candidates.lengths)[night.candidates.row]


def of_slots(night: ShowNight, kind: str, label: str) -> NDArray[np.bool_]:
    """Candidates of the slots in one group, bool."""
    return (night.groups[kind] == label)[night.candidates.row]


def backwards(night: ShowNight, where: NDArray[np.bool_]) -> Floats:
    """What was true, but the list of propensities the other way round ``where`` candidates say."""
    row, offsets = night.candidates.row, night.candidates.offsets
    mirrored = offsets[row + 1] - 1 - (np.arange(len(row)) - offsets[row])
    return np.where(where, night.truth[mirrored], night.truth)


def as_policy(world: ShowWorld, night: ShowNight, coefficient: float) -> Floats:
    """Probabilities of a softmax with another coefficient, without users' tastes."""
    row = night.candidates.row
    weight = np.exp(coefficient * weights(world)[night.candidates.values])
    softmax = weight / segment_sum(weight, night.candidates.offsets)[row]
    return (1 - world.floor) * softmax + world.floor * uniform(night)


def exchanged(world: ShowWorld, night: ShowNight, a: int, b: int) -> Floats:
    """Probabilities when the scores of two items are taken for each other."""
    row, item, popular = night.candidates.row, night.candidates.values, weights(world)
    strength = np.array([world.coefficient[p] for p in night.groups["policy"]])[row]
    softmax = night.truth - world.floor * uniform(night)
    gap = popular[b] - popular[a]
    softmax = softmax * np.exp(strength * gap * (1.0 * (item == a) - 1.0 * (item == b)))
    softmax /= segment_sum(softmax, night.candidates.offsets)[row]
    return (1 - world.floor) * softmax + world.floor * uniform(night)


def likeliest(night: ShowNight) -> NDArray[np.int64]:
    """Item numbers by the shows that are truly expected of them, most first."""
    expected = np.bincount(night.candidates.values, night.truth, len(night.items))
    return np.argsort(-expected, kind="stable")


def alone(night: ShowNight, limits: ShowLimits) -> ShowCounts:
    """What a night's checks read where the log holds the shown item's propensity alone."""
    p = night.logged[night.candidates.offsets[:-1] + night.chosen]
    none = np.zeros(len(BINS) + 1)
    inverse = count_inverse_shows(
        night.candidates, p, night.chosen, night.groups, night.items, tolerance=limits.tolerance
    )
    return ShowCounts((), (), Bins(none, none, none, none), inverse)
