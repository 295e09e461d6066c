from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from mrlm.ope.slates import SlateBatch, expected_examination

LENGTH, ITEMS = 2, 3
EXAMINATION = np.array([0.9, 0.4])


def list_probabilities(g, lists, repeats, even=False):
    """Probability of every list, and of each item given those above it, (lists, slots)."""
    if even:
        return np.full(len(lists), 1 / len(lists)), np.tile([1 / ITEMS, 1 / (ITEMS - 1)], (6, 1))
    first = g.dirichlet(np.ones(ITEMS))
    second = np.tile(g.dirichlet(np.ones(ITEMS)), (ITEMS, 1))
    if not repeats:
        second = g.dirichlet(np.ones(ITEMS), ITEMS)
        np.fill_diagonal(second, 0.0)
        second /= second.sum(1, keepdims=True)
    given = np.array([[first[a], second[a, b]] for a, b in lists])
    return given.prod(1), given


def marginals(lists, whole):
    """Probability of each item at each position, (slots, items)."""
    out = np.zeros((LENGTH, ITEMS))
    for items, p in zip(lists, whole, strict=True):
        out[np.arange(LENGTH), items] += p
    return out


def rewards_of(g, lists, world):
    """Rewards (lists, slots, 1) of one context in a world of users."""
    lone = g.normal(1.0, 1.0, (LENGTH, ITEMS))
    at = np.array([[lone[k, a[k]] for k in range(LENGTH)] for a in lists])
    if world == "independent":
        return at
    if world == "additive":
        return np.stack([0.3 * at.sum(1), 0.7 * at.sum(1)], 1)
    if world == "position":
        appeal = g.uniform(0.2, 2.0, ITEMS)
        return np.array([EXAMINATION * appeal[list(a)] for a in lists])
    pair = g.normal(0.0, 2.0, (ITEMS, ITEMS))
    at[:, 1] += [pair[a, b] for a, b in lists]
    if world == "any":
        other = g.normal(0.0, 2.0, (ITEMS, ITEMS))
        at[:, 0] += [other[a, b] for a, b in lists]
    return at


@pytest.fixture(scope="session")
def make_slate_world() -> Callable[..., tuple[SlateBatch, np.ndarray, float]]:
    """Every list of two contexts once: the batch, the logger's probabilities, the true value."""

    def make(kind, world, seed=0, even=False):
        """With ``even`` the logger shows uniformly random rankings."""
        g = np.random.default_rng(seed)
        repeats = kind == "independent"
        lists = [
            a for a in itertools.product(range(ITEMS), repeat=2) if repeats or len(set(a)) == 2
        ]
        n = len(lists)
        offsets = np.arange(2 * n + 1) * LENGTH
        logger, target, chance, value = [], [], [], 0.0
        rewards, q, v, inclusion = [], [], [], []
        for _ in range(2):
            whole = {}
            for name in ("logger", "target"):
                p, given = list_probabilities(g, lists, repeats, even and name == "logger")
                at = marginals(lists, p)
                slots = np.array([[at[k, a[k]] for k in range(LENGTH)] for a in lists])
                anywhere = np.array([at[:, i] for a in lists for i in a]).ravel()
                small = np.arange(n + 1) * LENGTH
                looked = expected_examination(anywhere, small, np.tile(EXAMINATION, n))
                whole[name] = (
                    p,
                    {
                        "conditional": given,
                        "independent": given,
                        "marginal": slots,
                        "slate": np.repeat(p[:, None], LENGTH, 1),
                        "exposure": looked.reshape(n, LENGTH),
                    }[kind],
                )
            inclusion.append([at[:, i].sum() for a in lists for i in a])  # The target's.
            logger.append(whole["logger"][1])
            target.append(whole["target"][1])
            chance.append(0.5 * whole["logger"][0])
            r = rewards_of(g, lists, world)
            rewards.append(r)
            value += 0.5 * whole["target"][0] @ r.sum(1)
            guess_first, guess_second = g.normal(size=ITEMS), g.normal(size=(ITEMS, ITEMS))
            q.append([[guess_first[a], guess_second[a, b]] for a, b in lists])
            if kind in ("conditional", "independent"):
                given = target[-1]
                first = np.zeros(ITEMS)
                second = np.zeros((ITEMS, ITEMS))
                for (a, b), (p1, p2) in zip(lists, given, strict=True):
                    first[a], second[a, b] = p1, p2
                below = (second * guess_second).sum(1)
                v.append([[first @ guess_first, below[a]] for a, _ in lists])

        def flat(parts):
            return np.concatenate([np.asarray(x, float).ravel() for x in parts])

        batch = SlateBatch(
            cluster=np.arange(2 * n),
            offsets=offsets,
            propensity=flat(logger),
            target=flat(target),
            rewards=flat(rewards)[:, None],
            objectives=("r",),
            kind=kind,
            q=flat(q)[:, None] if v else None,
            v=flat(v)[:, None] if v else None,
            examination=np.tile(EXAMINATION, 2 * n),
            inclusion=None if repeats else flat(inclusion).clip(max=1.0),
        )
        return batch, np.concatenate(chance), value

    return make


@pytest.fixture(scope="session")
def make_slates() -> Callable[..., SlateBatch]:
    """A random ragged log of slates; the propensities are not those of any one logger."""

    def make(
        kind,
        seed=0,
        n=60,
        m=2,
        users=12,
        largest=4,
        missing=0.1,
        on_policy=False,
        equal=False,
        even=False,
    ):
        """With ``even`` the logger shows uniformly random rankings of at least as many items."""
        g = np.random.default_rng(seed)
        lengths = np.full(n, largest) if equal else g.integers(1, largest + 1, n)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        total = int(offsets[-1])
        propensity = g.uniform(0.1, 0.9, total)
        target = np.clip(propensity * g.uniform(0.3, 1.7, total), 0, 1)
        inclusion = g.uniform(0, 1, total)
        if even:
            propensity = np.repeat(1.0 / (lengths + g.integers(0, 4, n)), lengths)
            target = np.clip(propensity * g.uniform(0.3, 1.7, total), 0, 1)
            if on_policy:
                inclusion = np.repeat(lengths, lengths) * propensity
        if kind == "slate":
            propensity = np.repeat(propensity[offsets[:-1]], lengths)
            target = np.repeat(target[offsets[:-1]], lengths)
        rewards = g.normal(0.3, 1.0, (total, m))
        rewards[g.random((total, m)) < missing / largest] = np.nan
        return SlateBatch(
            cluster=np.array([f"u{c}" for c in g.integers(0, users, n)], object),
            offsets=offsets,
            propensity=propensity,
            target=propensity if on_policy else target,
            rewards=rewards,
            objectives=tuple(f"o{j}" for j in range(m)),
            kind=kind,
            q=g.normal(size=(total, m)),
            v=g.normal(size=(total, m)),
            examination=g.uniform(0.1, 1.0, total),
            inclusion=inclusion,
        )

    return make
