"""What the benchmark of sequences reads, ranks and learns, without its peer."""

from __future__ import annotations

import numpy as np

from benchmarks.behaviour._next_item.ml_100k import Sequences
from benchmarks.behaviour._next_item.tastes import fit_next_item
from benchmarks.behaviour.sequences import _counted, _gains, _places
from mrlm.behaviour.settings import HistorySettings

USERS, LONG, ITEMS = 90, 12, 60


def two_kinds() -> Sequences:
    """Users who meet items of the first half alone, or of the second, in random order."""
    rng = np.random.default_rng(0)
    half = np.arange(USERS) % 2 * (ITEMS // 2)
    item = np.concatenate([h + rng.permutation(ITEMS // 2)[:LONG] for h in half])
    seconds = np.tile(np.arange(LONG), USERS)
    user = np.repeat(np.arange(USERS), LONG)
    return Sequences(user, item, rng.integers(1, 6, len(user)) * 1.0, seconds, ITEMS)


def test_the_last_item_is_held_back_and_others_are_not_ranked() -> None:
    known = Sequences(
        np.array([0, 0, 0, 1, 1]), np.array([4, 0, 2, 1, 3]), np.ones(5), np.arange(5), 6
    )
    assert known.from_end.tolist() == [2, 1, 0, 1, 0]
    scores = np.array([[9.0, 1, 1, 1, 9, 0], [0, 9, 0, 0, 0, 0]])
    # Of equal scores the first of the catalogue stands first; what was met stands nowhere.
    assert _places(known, scores).tolist() == [1, 2]
    assert _counted(known, None)[0].tolist() == [0, 0, 0, 0, 1, 0]
    assert _counted(known, 1)[1].sum() == 0


def test_gains_end_with_the_list() -> None:
    assert _gains([0, 9, 10], "HR").tolist() == [1, 1, 0]
    np.testing.assert_allclose(_gains([0, 2, 10], "NDCG"), [1, 0.5, 0])


def test_what_the_tastes_say_is_learned() -> None:
    """18 items of a user's own half are left; any order of them has .56 among the first ten."""
    known = two_kinds()
    settings = HistorySettings(factors=4, loading_prior=5.0)
    model = fit_next_item(known, known.from_end > 1, settings, seed=1)
    places = _places(known, model.scores(np.flatnonzero(known.from_end == 0)))
    assert (places < ITEMS // 2 - LONG + 1).mean() > 0.95
    by_count = _places(known, _counted(known, None))
    assert (by_count < ITEMS // 2 - LONG + 1).mean() < 0.7
