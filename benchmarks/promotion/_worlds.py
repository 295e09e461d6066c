"""Eight kinds of world: nights as sums by user, of two policies whose true difference is known.

The logger shows one of a few items; challenger and champion each want one item, and want the same
one on half of the rows. Rows, matches and rewards are drawn by night and user, never row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.state.state import EvaluationState

NIGHTS = 365
RATE = 0.3
DISAGREE = 0.5
REWARD = "reward"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WINDOW = 7
_TRAFFIC = np.array([1.0, 1.0, 1.0, 1.0, 1.2, 1.6, 1.4])
_LEVEL = np.array([1.0, 1.0, 1.0, 1.0, 1.1, 0.8, 0.7])


@dataclass(frozen=True)
class Kind:
    """What is particular to a world.

    Attributes:
        users: most of them.
        first_users: on the first night; one joins every night.
        rows: mean decisions of a user and night.
        shown: shares of the rows, each with the logger's probability of the item that is wanted.
        spread: of the logarithm of a reward that is not 0; 0: every such reward is 1.
        taste: how far a user's own relative difference lies from 0 for the whole year; its law is
            skewed and has mean 0.
        weekly: traffic and the level of rewards follow the day of the week.
        delayed: a reward is what the user does in the week that follows, so neighbouring nights
            share most of it.
        model: doubly robust, with predictions that an earlier log got wrong by this share.
    """

    users: int = 500
    first_users: int = 500
    rows: float = 20.0
    shown: tuple[tuple[float, float], ...] = ((1.0, 0.2),)
    spread: float = 0.0
    taste: float = 0.0
    weekly: bool = False
    delayed: bool = False
    model: float = 0.0


KINDS = {
    "Bernoulli": Kind(),
    "lognormal rewards": Kind(spread=1.5),
    "clustered users": Kind(taste=0.2),
    "30 users at first": Kind(first_users=30, rows=70.0, users=395),
    "weekday effects": Kind(weekly=True),
    "heavy weights": Kind(shown=((0.4, 0.5), (0.4, 0.2), (0.15, 0.05), (0.05, 0.01))),
    "delayed north star": Kind(delayed=True),
    "estimated q": Kind(model=0.3),
}


@dataclass(frozen=True)
class Year:
    """Sums by night and user; ``pairs`` have a last axis of challenger and champion.

    Attributes:
        rows: int64, shape (nights, users).
        numerator: float64, pairs.
        weight: float64, pairs, sums of weights.
        square: float64, pairs, sums of squared weights.
        largest: float64, pairs.
        matched: int64, pairs, rows whose item is the wanted one.
        nonzero: int64, pairs, those of them with a reward.
        expected: float64, shape (nights, users), sums of expected squared weights.
    """

    rows: Ints
    numerator: Floats
    weight: Floats
    square: Floats
    largest: Floats
    matched: Ints
    nonzero: Ints
    expected: Floats

    def state(self, first: int, last: int) -> EvaluationState:
        """The paired difference on the nights ``first`` to ``last - 1`` together."""
        nights = slice(first, last)
        rows = self.rows[nights].sum(0)[:, None]
        pair = np.repeat(rows[:, :, None], 2, axis=2)

        def summed(values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
            return values[nights].sum(0)[:, None, :]

        return EvaluationState(
            estimator="dr",
            covers_policy_value=True,
            objectives=(REWARD,),
            policies=("challenger", "champion"),
            signs=np.array([1.0, -1.0]),
            cluster=np.arange(len(rows)),
            rows=rows,
            numerator=summed(self.numerator),
            denominator=pair.astype(np.float64),
            share_sum=pair.astype(np.float64),
            weight_sum=summed(self.weight),
            weight_square=summed(self.square),
            weight_largest=self.largest[nights].max(0)[:, None, :],
            matched=summed(self.matched).astype(np.int64),
            nonzero=summed(self.nonzero).astype(np.int64),
            unsupported=np.zeros(pair.shape),
            expected_square=np.repeat(self.expected[nights].sum(0)[:, None, None], 2, axis=2),
        )


def year(kind: Kind, lift: float, rng: np.random.Generator, nights: int = NIGHTS) -> Year:
    """Draw a year in which the challenger's true value is ``1 + lift`` times the champion's."""
    shape = (nights, kind.users)
    day = np.arange(nights) % 7
    there = np.arange(kind.users) < kind.first_users + np.arange(nights)[:, None]
    traffic = _TRAFFIC[day] if kind.weekly else np.ones(nights)
    rows = rng.poisson(kind.rows * traffic[:, None] * there)
    level = _LEVEL[day] if kind.weekly else np.ones(nights)
    rate = RATE * level[:, None] * rng.gamma(4.0, 0.25, kind.users).clip(max=2.5)
    own = kind.taste * (rng.exponential(size=kind.users) - 1.0)
    # Only where the two want other items can the one be better.
    rates = np.stack([rate * (1 + (lift + own) / DISAGREE), rate], axis=2)
    shared = _of_the_week(rng, shape) if kind.delayed else None
    found = {n: np.zeros((*shape, 2)) for n in ("reward", "weight", "square", "largest")}
    found |= {n: np.zeros((*shape, 2), np.int64) for n in ("matched", "nonzero")}
    weighted_prediction = np.zeros((*shape, 2))
    expected = np.zeros(shape)
    predicted = rates * (1 + kind.model * rng.normal(size=(nights, 1, 2)))
    left, rest = rows.copy(), 1.0
    for share, probability in kind.shown:
        level_rows = rng.binomial(left, min(share / rest, 1.0))
        left, rest = left - level_rows, rest - share
        expected += level_rows / probability
        both = rng.binomial(level_rows, (1 - DISAGREE) * probability)
        apart, others = level_rows - both, 1 - (1 - DISAGREE) * probability
        for policy in (0, 1):
            # Of the rows that are left, those that show what this policy alone wants.
            alone = rng.binomial(apart, DISAGREE * probability / others)
            apart, others = apart - alone, others - DISAGREE * probability
            reward, many = _rewards(kind, rng, alone, rates[:, :, policy], shared)
            weight = 1.0 / probability
            found["reward"][:, :, policy] += weight * reward
            found["nonzero"][:, :, policy] += many
            found["matched"][:, :, policy] += alone + both
            found["weight"][:, :, policy] += weight * (alone + both)
            found["square"][:, :, policy] += weight**2 * (alone + both)
            found["largest"][:, :, policy][alone + both > 0] = weight
            weighted_prediction[:, :, policy] += weight * alone * predicted[:, :, policy]
        # What both are shown cancels in the difference and counts as a reward of both.
        agreed = rng.binomial(both, rate.clip(max=1.0))
        found["nonzero"] += agreed[:, :, None]
    numerator = found.pop("reward")
    if kind.model:
        direct = DISAGREE * rows[:, :, None] * predicted
        numerator = numerator + direct - weighted_prediction
    return Year(rows=rows, numerator=numerator, expected=expected, **found)  # type: ignore[arg-type]


def _rewards(
    kind: Kind, rng: np.random.Generator, many: Ints, rate: Floats, shared: Floats | None
) -> tuple[Floats, Ints]:
    """Sum of the rewards of so many rows of each night and user, and how many are not 0."""
    if shared is not None:
        return many * shared * rate, many
    hits = rng.binomial(many, rate.clip(0.0, 1.0))
    if not kind.spread:
        return hits.astype(np.float64), hits
    # Of mean 1, whatever the spread.
    drawn = rng.lognormal(-(kind.spread**2) / 2, kind.spread, int(hits.sum()))
    cell = np.repeat(np.arange(hits.size), hits.ravel())
    summed = np.bincount(cell, drawn, hits.size).astype(np.float64)
    return summed.reshape(hits.shape), hits


def _of_the_week(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """What a user does in the week after each night, of mean 1: a moving mean of single days."""
    days = rng.exponential(size=(shape[0] + _WINDOW - 1, shape[1]))
    total = np.cumsum(np.concatenate([np.zeros((1, shape[1])), days]), axis=0)
    week: Floats = (total[_WINDOW:] - total[:-_WINDOW]) / _WINDOW
    return week
