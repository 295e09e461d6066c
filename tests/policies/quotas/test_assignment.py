"""Assignments within quotas: exact probabilities, and no item more often than it may."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mrlm.bandit_log.ragged import rows, segment_sum
from mrlm.policies.quotas.assignment import NOTHING, assigned
from mrlm.policies.quotas.dependent_rounding import DependentRounding
from mrlm.policies.quotas.shares_within_quotas import shares_within_quotas

N, ITEMS = 40, 12
MOST = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 2.0, *[np.inf] * 6])


def drawn_sets(seed: int, n: int = N, items: int = ITEMS):
    """Candidate sets of two to six items, and a policy's probabilities."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 7, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    item = np.concatenate([np.sort(rng.permutation(items)[:k]) for k in lengths])
    weight = rng.exponential(size=len(item))
    return weight / segment_sum(weight, offsets)[rows(offsets)], offsets, item


def branches(left, right, value) -> Iterator[tuple[float, np.ndarray]]:
    """Every outcome of the rounding with its chance: all ways that its coins may fall."""
    script: list[bool] = []
    while True:
        chance, fallen = 1.0, 0

        def chosen(p: float) -> bool:
            nonlocal chance, fallen
            if fallen == len(script):
                script.append(True)
            chance *= p if script[fallen] else 1 - p
            fallen += 1
            return script[fallen - 1]

        one = DependentRounding(left, right, value, chosen).rounded()
        yield chance, one
        while script and not script[-1]:
            script.pop()
        if not script:
            return
        script[-1] = False


@pytest.mark.parametrize("seed", range(5))
def test_every_edge_has_its_chance_and_every_sum_is_kept(seed: int) -> None:
    """The decomposition in full, its coins all enumerated: a Birkhoff-von Neumann one."""
    rng = np.random.default_rng(seed)
    left, right = np.repeat(np.arange(4), 3), np.tile(np.arange(4, 7), 4)
    value = rng.dirichlet(np.ones(3), 4).ravel()
    marginal, total = np.zeros(12), 0.0
    sums = np.bincount(right, value)[4:]
    for chance, one in branches(left, right, value):
        marginal += chance * one
        total += chance
        assert (np.bincount(left, one) == 1).all()
        shown = np.bincount(right, one)[4:]
        assert (np.abs(shown - sums) < 1).all()
    assert total == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(marginal, value, atol=1e-9)


def test_quotas_hold_and_leave_the_nearest_probabilities() -> None:
    probability, offsets, item = drawn_sets(0)
    share = shares_within_quotas(probability, offsets, item, MOST)
    expected = np.bincount(item, share, minlength=ITEMS)
    before = np.bincount(item, probability, minlength=ITEMS)
    assert (expected <= MOST + 1e-9).all()
    np.testing.assert_allclose(segment_sum(share, offsets), 1.0, atol=1e-6)
    # One price an item: what an item loses against a free one of the same set is the same anywhere.
    binding = (before > MOST) & (MOST > 0)
    assert binding.sum() >= 3
    row, ratio = rows(offsets), share / probability
    free = np.where(np.isinf(MOST[item]), ratio, 0.0)
    of_free = np.array([free[row == i].max() for i in range(N)])[row]
    for code in np.flatnonzero(binding):
        there = (item == code) & (of_free > 0)
        price = ratio[there] / of_free[there]
        assert price.max() < 1
        np.testing.assert_allclose(price, price[0], rtol=1e-6)
        assert expected[code] == pytest.approx(MOST[code], abs=1e-5)


def test_quotas_that_do_not_bind_change_nothing() -> None:
    probability, offsets, item = drawn_sets(1)
    for most in (np.full(ITEMS, np.inf), np.full(ITEMS, 40.0)):
        share = shares_within_quotas(probability, offsets, item, most)
        np.testing.assert_allclose(share, probability, rtol=1e-8)


def test_no_draw_exceeds_a_quota_and_shares_are_those_that_are_told() -> None:
    probability, offsets, item = drawn_sets(2)
    shown, draws = np.zeros(len(item)), 120
    for seed in range(draws):
        found = assigned(probability, offsets, item, MOST, np.random.default_rng(seed))
        assert (np.bincount(item[found.place], minlength=ITEMS) <= MOST).all()
        assert (rows(offsets)[found.place] == np.arange(N)).all()
        shown[found.place] += 1 / draws
    # Four and a half standard errors for each of 160 frequencies: one run in 1,000 fails.
    error = np.sqrt(found.probability * (1 - found.probability) / draws)
    assert (np.abs(shown - found.probability) <= 4.5 * error + 1e-12).all()


def test_where_quotas_leave_nothing_somebody_is_shown_nothing() -> None:
    """Three requests want the one item that two may see; a fourth has another."""
    probability, offsets = np.array([1.0, 1.0, 1.0, 0.5, 0.5]), np.array([0, 1, 2, 3, 5])
    item, most = np.array([0, 0, 0, 0, 1]), np.array([2.0, np.inf])
    found = assigned(probability, offsets, item, most, np.random.default_rng(0))
    np.testing.assert_allclose(found.probability[:3], 2 / 3, atol=1e-6)
    assert found.probability[3:] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert (found.place == NOTHING).sum() == 1
    assert found.place[3] == 4
