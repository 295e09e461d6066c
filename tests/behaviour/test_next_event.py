"""The encoder of ``sequence`` under a softmax over a catalogue, and the split by calendar."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch

from benchmarks.behaviour._next_item.calendar_split import Calendar, counted_before
from benchmarks.behaviour._next_item.encoder import NextEvent, NextEventSettings, fit_next_event
from benchmarks.behaviour._next_item.encoder_start import start_from
from benchmarks.behaviour._next_item.ml_100k import Sequences
from benchmarks.behaviour._next_item.neighbours import likeness, nearest, vectors
from benchmarks.behaviour.sequences import _places
from mrlm.behaviour.sequence_settings import SequenceSettings

USERS, LONG, ITEMS = 60, 12, 30
SECONDS = np.arange(5)
SMALL = NextEventSettings(
    encoder=SequenceSettings(width=16, identifier=16, layers=1, identifier_dropout=0.0),
    length=8,
    negatives=20,
    batch=20,
    epochs=40,
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
    model, epochs, _ = fit_next_event(known, told, SMALL, 1)
    last = np.flatnonzero(~told)
    scores = model.scores(known, last, SMALL.length)
    assert epochs == SMALL.epochs
    # Of those not met, as is ranked: what a user met is never drawn beside what comes next.
    assert (_places(known, scores) == 0).mean() > 0.9
    # What comes at the rating and after it is not read.
    item = known.item.copy()
    item[last] = 0
    later = model.scores(replace(known, item=item), last, SMALL.length)
    np.testing.assert_array_equal(later, scores)
    few = replace(SMALL, epochs=2)
    first, again = (fit_next_event(known, told, few, 1)[0] for _ in range(2))
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_the_best_epochs_are_kept() -> None:
    known, told = in_turn(), in_turn().from_end > 0
    states: list[dict[str, torch.Tensor]] = []
    values = iter([0.1, 0.3, 0.2])

    def value(model: NextEvent) -> float:
        states.append(copy.deepcopy(model.state_dict()))
        return next(values)

    model, epochs, _ = fit_next_event(known, told, replace(SMALL, epochs=6), 1, 2, value)
    assert epochs == 4
    kept = model.state_dict()
    assert all(torch.equal(kept[name], states[1][name]) for name in kept)
    assert not torch.equal(kept["level"], states[2]["level"])


def test_the_start_points_at_neighbours_of_the_newest() -> None:
    """Half of the items are met by even users alone, half by odd ones: no training is needed."""
    user, halves = np.repeat(np.arange(USERS), LONG), ITEMS // 2
    rng = np.random.default_rng(0)
    own = np.concatenate([rng.permutation(halves)[:LONG] for _ in range(USERS)])
    known = Sequences(
        user, own + user % 2 * halves, np.full(len(user), 4.0), np.arange(len(user)), ITEMS
    )
    model = NextEvent(ITEMS, SMALL)
    start_from(model.encoder, model.level, known.where(known.from_end > 0), seed=0)
    last = np.flatnonzero(known.from_end == 0)
    scores = model.scores(known, last, SMALL.length)
    first = np.argsort(-scores, axis=1)[:, :halves]
    assert (first // halves == known.user[last][:, None] % 2).mean() > 0.99
    # Who met nothing is told what is met most often.
    new = model.scores(known, known.offsets[:1], SMALL.length)[0]
    met = np.bincount(known.item[known.from_end > 0], minlength=ITEMS)
    assert met[new.argmax()] == met.max()


def test_likeness_by_hand() -> None:
    """One user met 0, 1, 2 in turn, one 0 and 1; within one entry 0 and 2 were not met together."""
    known = Sequences(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]), np.ones(5), SECONDS, 4)
    alike = likeness(known, 1).todense()
    # Together: 0 and 1 twice, 1 and 2 once; by size 2, 3, 1, and one more each.
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 2 / np.sqrt(3 * 4)
    expected[1, 2] = expected[2, 1] = 1 / np.sqrt(4 * 2)
    np.testing.assert_allclose(alike, expected)
    scores = nearest(known, np.array([2, 4]), likeness(known, 1))
    np.testing.assert_allclose(scores, [expected[1] + 0.5**0.25 * expected[0], expected[0]])
    found = vectors(likeness(known, 1), 2, seed=0)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1, 1, 0])


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
