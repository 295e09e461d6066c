"""The benchmark of behaviour models compares what it says it compares."""

from __future__ import annotations

import numpy as np

from benchmarks import _demonstration
from benchmarks.behaviour._models import one_reward, without_text
from benchmarks.behaviour._worlds.tail_world import ITEMS, TailWorld
from benchmarks.behaviour.prediction import Predicted, over_seeds
from mrlm.behaviour.features.pair_features import pair_features
from mrlm.behaviour.features.space import fit_space
from mrlm.metrics.clustered_auc import clustered_auc
from tests.history_value import history_value


def test_what_is_taken_away_is_gone_and_the_rest_stays() -> None:
    log = _demonstration.demonstration(1, 12).log
    seen, cut = log.decisions, one_reward(log).decisions
    assert seen.history.lengths.max() > 50
    np.testing.assert_array_equal(cut.history.lengths, np.minimum(seen.history.lengths, 50))
    for d in (0, 40, len(log) - 1):
        own, less = (x.take(np.array([d])) for x in (seen, cut))
        kept = len(less.history.values)
        np.testing.assert_array_equal(less.history.values, own.history.values[-kept:][:kept])
        np.testing.assert_array_equal(history_value(less), history_value(own)[-kept:][:kept])
    space = fit_space(one_reward(log), 8)
    assert (len(space.history), space.counts_ignored) == (1, False)
    assert len(fit_space(log, 8).history) == 3
    bare = without_text(log)
    text = pair_features(bare.decisions, fit_space(bare, 8)).item_vectors[:, :8]
    assert not text.any()


def test_areas_over_seeds_are_means_whose_error_knows_that_users_are_the_same() -> None:
    g = np.random.default_rng(5)

    def cell(users: int) -> Predicted:
        user = g.integers(0, users, 400)
        label = g.integers(0, 2, 400)
        found = {"pair": (label + g.normal(size=400)).tolist()}
        nothing = [False] * 400
        names = [f"u{u:03d}" for u in user]
        return Predicted(
            {"user": names, "label": label.tolist(), "few": nothing, "new": nothing,
             "predicted": found, "seconds": {}}
        )  # fmt: skip

    first, second = cell(30), cell(40)
    code = np.unique(first.user.astype(str), return_inverse=True)[1]
    alone = clustered_auc(first.label, first.by_model["pair"], code)
    one = over_seeds([first], "pair")
    assert one.value == alone.value
    assert np.isclose(one.standard_error, alone.standard_error)
    twice = over_seeds([first, first], "pair")
    assert np.isclose(twice.standard_error, one.standard_error), "the same users tell nothing new"
    both = over_seeds([first, second], "pair")
    assert np.isclose(both.value, (one.value + over_seeds([second], "pair").value) / 2)
    assert np.isnan(over_seeds([first], "pair", "films first shown that night").value)


def test_offers_have_a_long_tail_of_different_items() -> None:
    offered = TailWorld().offered(np.random.default_rng(0), 5_000)
    assert (np.diff(offered, axis=1) > 0).all()
    assert offered.min() >= 0
    assert offered.max() < ITEMS
    # By Zipf's and Mandelbrot's law log(5010 / 10) / log(50010 / 10) of 100,000 draws; five
    # standard deviations, and what items that come twice in a list move.
    assert abs((offered < 5_000).mean() - 0.73) < 0.01
