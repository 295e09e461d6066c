"""The encoder of ``sequence`` under a softmax over a catalogue, and the split by calendar."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from benchmarks.behaviour._calendar import Calendar, counted_before
from benchmarks.behaviour._ml_100k import Sequences
from benchmarks.behaviour._next_event import NextEventSettings, fit_next_event
from mrlm.behaviour.sequence_settings import SequenceSettings

USERS, LONG, ITEMS = 60, 12, 30
SMALL = NextEventSettings(
    encoder=SequenceSettings(width=16, identifier=16, layers=1, identifier_dropout=0.0),
    length=8,
    negatives=20,
    batch=20,
    learning_rate=1e-2,
)


def in_turn() -> Sequences:
    """Users who start anywhere and meet one item after the other, as they stand."""
    start = np.arange(USERS) * 7
    item = (start[:, None] + np.arange(LONG)).ravel() % ITEMS
    user = np.repeat(np.arange(USERS), LONG)
    return Sequences(user, item, np.full(len(user), 4.0), np.arange(len(user)), ITEMS)


def test_the_order_is_learned_from_all_positions_and_told_from_the_newest() -> None:
    known = in_turn()
    told = known.from_end > 0
    model, epochs, tried, _ = fit_next_event(known, told, SMALL, 1, 25, 25)
    last = np.flatnonzero(~told)
    scores = model.scores(known, last, SMALL.length)
    assert (epochs, tried) == (25, 25)
    assert (scores.argmax(axis=1) == known.item[last]).mean() > 0.9
    # What comes at the rating and after it is not read.
    item = known.item.copy()
    item[last] = 0
    later = model.scores(replace(known, item=item), last, SMALL.length)
    np.testing.assert_array_equal(later, scores)
    first, again = (fit_next_event(known, told, SMALL, 1, 2, 2)[0] for _ in range(2))
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_the_best_epochs_are_kept() -> None:
    known, found = in_turn(), iter([0.1, 0.3, 0.2, 0.2, 9.0])
    _, epochs, tried, _ = fit_next_event(
        known, known.from_end > 0, SMALL, 1, 10, 2, lambda _: next(found)
    )
    assert (epochs, tried) == (4, 8)


def test_gains_after_a_day() -> None:
    """Ten ratings a user of which the last came after the day; each other user came new."""
    user, seconds = np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4)
    user[15:], seconds[15:] = 3, 9
    seconds[[4, 9]] = 9
    item = np.array([0, 1, 2, 3, 4, 1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
    known = Sequences(user, item, np.ones(20), seconds, 6)
    calendar = Calendar(known, 9, np.array([4, 9]))
    assert calendar.told.sum() == 13
    # The first user's item stands second, the other's first: it was met before by two.
    scores = np.array([[9.0, 9, 9, 9, 1, 2], [1, 9, 9, 9, 9, 0]])
    found = calendar.measured(scores, 2)
    assert found["NDCG"] == np.mean([1 / np.log2(3), 1.0])
    assert found["debiased NDCG"] == found["NDCG"], "one item a user: its rarity cancels"
    assert found["coverage"] == 3 / 6
    assert counted_before(calendar, None)[0].tolist() == [2, 3, 3, 3, 2, 0]
    assert counted_before(calendar, 6)[0].tolist() == [0, 0, 0, 2, 2, 0]
    assert Calendar.of(known).place.tolist() == [4, 9]
