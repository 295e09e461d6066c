"""Assignments within quotas: exact probabilities, and no item more often than it may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from mrlm.bandit_log.ragged import rows, segment_sum
from mrlm.policies.quotas.assignment import NOTHING, assigned
from mrlm.policies.quotas.quotas import Quotas
from mrlm.policies.quotas.shares_within_quotas import shares_within_quotas
from mrlm.policies.quotas.unbiased_rounding import WHOLE, rounded

N, ITEMS = 40, 12
MOST = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 2.0, *[np.inf] * 6])
AT_MOST = Quotas.at_most(MOST)


def drawn_sets(seed: int, n: int = N, items: int = ITEMS):
    """Candidate sets of two to six items, and a policy's probabilities."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 7, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    item = np.concatenate([np.sort(rng.permutation(items)[:k]) for k in lengths])
    weight = rng.exponential(size=len(item))
    return weight / segment_sum(weight, offsets)[rows(offsets)], offsets, item


def branches(units, left, right) -> Iterator[tuple[float, np.ndarray]]:
    """Every outcome of the rounding with its chance: all ways that its coins may fall."""
    script: list[bool] = []
    while True:
        fallen = 0

        def coins(many: int) -> np.ndarray:
            nonlocal fallen
            script.extend([True] * (fallen + many - len(script)))
            fallen += many
            return np.array(script[fallen - many : fallen])

        one = rounded(units, left, right, coins)
        yield 0.5**fallen, one
        del script[fallen:]
        while script and not script[-1]:
            script.pop()
        if not script:
            return
        script[-1] = False


@pytest.mark.parametrize("seed", range(5))
def test_every_value_has_its_chance_and_every_sum_is_kept(seed: int) -> None:
    """The decomposition in full, its coins all enumerated: a Birkhoff-von Neumann one."""
    rng = np.random.default_rng(seed)
    row, column = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    pair = np.minimum(column, 1)
    eighths = rng.multinomial(8, np.ones(3) / 3, 4).ravel()
    value, marginal, total = eighths / 8, np.zeros(12), 0.0
    for chance, one in branches(eighths * (WHOLE // 8), [row], [column, pair]):
        marginal += chance * one
        total += chance
        assert (np.bincount(row, one) == 1).all()
        for sets in (column, pair):
            assert (np.abs(np.bincount(sets, one) - np.bincount(sets, value)) < 1).all()
    assert total == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(marginal, value, atol=1e-12)


def test_quotas_hold_and_leave_the_nearest_probabilities() -> None:
    probability, offsets, item = drawn_sets(0)
    share = shares_within_quotas(probability, offsets, item, AT_MOST)
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
        share = shares_within_quotas(probability, offsets, item, Quotas.at_most(most))
        np.testing.assert_allclose(share, probability, rtol=1e-8)


def test_no_draw_exceeds_a_quota_and_shares_are_those_that_are_told() -> None:
    probability, offsets, item = drawn_sets(2)
    shown, draws = np.zeros(len(item)), 60
    for seed in range(draws):
        found = assigned(probability, offsets, item, AT_MOST, np.random.default_rng(seed))
        assert (np.bincount(item[found.place], minlength=ITEMS) <= MOST).all()
        assert (rows(offsets)[found.place] == np.arange(N)).all()
        shown[found.place] += 1 / draws
    # Four and a half standard errors for each of 160 frequencies: one run in 1,000 fails.
    error = np.sqrt(found.probability * (1 - found.probability) / draws)
    assert (np.abs(shown - found.probability) <= 4.5 * error + 1e-12).all()


def test_where_quotas_leave_nothing_somebody_is_shown_nothing() -> None:
    """Three requests want the one item that two may see; a fourth has another."""
    probability, offsets = np.array([1.0, 1.0, 1.0, 0.5, 0.5]), np.array([0, 1, 2, 3, 5])
    item, most = np.array([0, 0, 0, 0, 1]), Quotas.at_most(np.array([2.0, np.inf]))
    found = assigned(probability, offsets, item, most, np.random.default_rng(0))
    np.testing.assert_allclose(found.probability[:3], 2 / 3, atol=1e-6)
    assert found.probability[3:] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert (found.place == NOTHING).sum() == 1
    assert found.place[3] == 4


def test_nobody_is_shown_nothing_while_an_item_has_room_for_them() -> None:
    """The second request leaves the one seat to the first, which has no other item."""
    probability, offsets = np.array([1.0, 1.0 - 1e-12, 1e-12]), np.array([0, 1, 3])
    item, most = np.array([0, 0, 1]), Quotas.at_most(np.array([1.0, 5.0]))
    found = assigned(probability, offsets, item, most, np.random.default_rng(0))
    np.testing.assert_allclose(found.probability, [1.0, 0.0, 1.0], atol=1e-9)
    assert found.place.tolist() == [0, 2]


@pytest.mark.parametrize("seed", range(4))
def test_as_many_are_shown_something_as_room_allows(seed: int) -> None:
    """Against the largest flow from requests to items within their quotas."""
    probability, offsets, item = drawn_sets(seed, n=30)
    row, most = rows(offsets), np.random.default_rng(seed).integers(0, 4, ITEMS)
    source, sink = 30 + ITEMS, 31 + ITEMS
    begin = np.concatenate([np.full(30, source), row, 30 + np.arange(ITEMS)])
    end = np.concatenate([np.arange(30), 30 + item, np.full(ITEMS, sink)])
    most_units = np.concatenate([np.ones(30 + len(row), int), most]).astype(np.int32)
    flow = maximum_flow(csr_array((most_units, (begin, end)), shape=(sink + 1,) * 2), source, sink)
    share = shares_within_quotas(probability, offsets, item, Quotas.at_most(most.astype(float)))
    assert share.sum() == pytest.approx(flow.flow_value, abs=1e-5)


def lower_quotas(least_of_group: float) -> Quotas:
    """Of the twelve items the first must be shown often, and so must the last four together."""
    least, group = np.zeros(ITEMS), np.repeat([0, 1, 2], 4)
    least[0] = 9.0
    return Quotas(np.full(ITEMS, np.inf), least, group, np.array([0.0, 0.0, least_of_group]))


def test_lower_quotas_hold_in_every_draw_and_leave_the_nearest_probabilities() -> None:
    probability, offsets, item = drawn_sets(4)
    quotas, row = lower_quotas(20.0), rows(offsets)
    before = np.bincount(item, probability, minlength=ITEMS)
    assert before[0] < 8
    assert before[8:].sum() < 19
    share = shares_within_quotas(probability, offsets, item, quotas)
    expected = np.bincount(item, share, minlength=ITEMS)
    assert expected[0] == pytest.approx(9.0, abs=2e-3)
    assert expected[8:].sum() == pytest.approx(20.0, abs=2e-3)
    # One price for what has to be shown, the same in every request.
    ratio = np.log(share / probability)
    base = np.full(N, np.nan)
    base[row[(item > 0) & (item < 8)]] = ratio[(item > 0) & (item < 8)]
    for there in (item == 0, item >= 8):
        price = (ratio - base[row])[there & np.isfinite(base[row])]
        assert price.min() > 0.05
        np.testing.assert_allclose(price, price[0], rtol=1e-6)
    for seed in range(12):
        found = assigned(probability, offsets, item, quotas, np.random.default_rng(seed))
        shown = np.bincount(item[found.place], minlength=ITEMS)
        assert shown[0] in (9, 10)
        assert shown[8:].sum() in (20, 21)


def test_a_lower_quota_out_of_reach_is_come_near_to_and_gives_way_to_an_upper_one() -> None:
    probability, offsets, item = drawn_sets(4)
    reach = np.bincount(rows(offsets), item >= 8) > 0
    wanted = replace(lower_quotas(100.0), least=np.zeros(ITEMS))
    found = assigned(probability, offsets, item, wanted, np.random.default_rng(0))
    assert (item[found.place] >= 8).sum() == reach.sum() < 40
    limited = replace(wanted, most=np.where(np.arange(ITEMS) >= 8, 2.0, np.inf))
    found = assigned(probability, offsets, item, limited, np.random.default_rng(0))
    assert np.bincount(item[found.place], minlength=ITEMS)[8:].tolist() == [2] * 4
    assert (found.place != NOTHING).all()


def test_what_has_to_be_shown_falls_to_the_slots_in_which_it_can_be() -> None:
    """Of two requests with the item the one has room for two slots more, the other for one."""
    item, offsets = np.array([0, 1, 0, 2, 3]), np.array([0, 1, 2, 5])
    quotas = Quotas(
        np.full(4, np.inf), np.array([3.0, 4.0, 0.0, 0.0]), np.array([0, 0, 1, 1]), np.array([0, 6])
    )
    due = quotas.due(item, offsets, 2)
    np.testing.assert_allclose(due.least, [3.0 * 2 / 3, 4.0, 0.0, 0.0])
    np.testing.assert_allclose(due.least_of_group, [0.0, 3.0])
    left = quotas.after(np.array([0, 2, 2], np.int32))
    assert left.least.tolist() == [2.0, 4.0, 0.0, 0.0]
    assert left.least_of_group.tolist() == [0.0, 4.0]
