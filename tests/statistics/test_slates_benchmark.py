"""The world of lists that learners.slates measures on, by counting every list and every click."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from benchmarks.learners import slates
from benchmarks.learners._slates.lists import draw_clicks, draw_lists, list_value
from benchmarks.learners._slates.world import ITEMS, drawn_world, logged_lists
from mrlm.learners.bandit.top_k_reinforce import slots_left

SCORES, APPEAL = np.array([2.0, -1.0, 0.5, 0.0]), np.array([0.6, 0.1, 0.3, 0.9])


def counted(floor: float, leave: float) -> float:
    """Clicks on lists of three, list by list and click by click."""
    total = 0.0
    for shown in permutations(range(4), 3):
        chance, left = 1.0, [0, 1, 2, 3]
        for item in shown:
            odds = np.exp(SCORES[left])
            chance *= (1 - floor) * np.exp(SCORES[item]) / odds.sum() + floor / len(left)
            left.remove(item)
        for clicks in product((0, 1), repeat=3):
            # Chance that the user is still there, given the clicks above.
            there, of_clicks = 1.0, 1.0
            for item, click in zip(shown, clicks, strict=True):
                seen = APPEAL[item] if click else 1 - APPEAL[item]
                of_clicks *= there * seen + (1 - there) * (not click)
                stayed = there * seen / (there * seen + 1 - there)
                there = 1 - leave if click else stayed
            total += chance * of_clicks * sum(clicks)
    return total


@pytest.mark.parametrize(("floor", "leave"), [(0.0, 0.0), (0.2, 0.0), (0.0, 1.0), (0.1, 0.4)])
def test_the_value_is_that_of_all_lists_and_all_clicks(floor: float, leave: float) -> None:
    found = list_value(np.stack([SCORES, SCORES[::-1]]), np.stack([APPEAL] * 2), 3, floor, leave)
    assert found[0] == pytest.approx(counted(floor, leave), abs=1e-12)
    assert abs(found[1] - found[0]) > 0.01, "scores matter"


def test_a_list_without_repeats_shows_each_item_at_least_as_often_as_draws_do() -> None:
    p = np.exp(SCORES) / np.exp(SCORES).sum()
    shown = list_value(np.stack([SCORES] * 4), np.eye(4), 3, 0.0, 0.0)
    assert shown.sum() == pytest.approx(3.0)
    assert (shown > 1 - (1 - p) ** 3).all()


def test_what_is_drawn_is_worth_what_was_counted() -> None:
    """40,000 lists; a difference of 5 standard errors, so right code fails once in a million."""
    n, rng = 40_000, np.random.default_rng(0)
    shown, chances = draw_lists(np.stack([SCORES] * n), 3, 0.1, rng)
    assert (np.sort(shown, axis=1)[:, 1:] > np.sort(shown, axis=1)[:, :-1]).all()
    np.testing.assert_allclose(chances.sum(axis=2), 1.0)
    clicks = draw_clicks(APPEAL[shown], 0.4, rng).sum(axis=1)
    assert abs(clicks.mean() - counted(0.1, 0.4)) < 5 * clicks.std() / np.sqrt(n)
    assert draw_clicks(APPEAL[shown], 1.0, rng).sum(axis=1).max() == 1


def test_a_logged_list_is_a_decision_a_slot() -> None:
    lists = logged_lists(drawn_world(0, 0.0), 5, 3, np.random.default_rng(0))
    log = slates.as_log(lists)
    shown = log.decisions.candidates.values[log.shown].reshape(5, 3)
    np.testing.assert_array_equal(shown, lists.shown)
    assert log.decisions.candidates.lengths.tolist() == [ITEMS, ITEMS - 1, ITEMS - 2] * 5
    assert slots_left(log, 0).tolist() == [3, 2, 1] * 5
    assert log.decisions.above.take(np.array([5])).values.tolist() == shown[1, :2].tolist()
    chance = np.take_along_axis(lists.chances, lists.shown[:, :, None], axis=2)
    np.testing.assert_array_equal(log.propensity, chance.ravel())


def test_the_smallest_cell_is_within_what_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slates, "SHOWN", 300)
    monkeypatch.setattr(slates, "JUDGED", 50)
    monkeypatch.setattr(slates, "EPOCHS", 1)
    found = slates.cell(slates.Logged(3, 1.0, 1, judged=False), 0)
    value = found["value"]
    assert max(value, key=lambda name: value[name]) == slates.ORACLE
    assert 0 < value[slates.LOGGER] < value[slates.ORACLE] < 1
    assert found["low"] < found["estimate"] < found["high"]
