"""The smallest form of what learners.tabular measures, and the models that it measures on."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._peer_environment import PeerEnvironment
from benchmarks.learners import long_term, tabular
from benchmarks.learners._tabular_field import (
    DISCOUNT,
    counted,
    drawn,
    exact_experience,
    named,
    sample_of,
)
from mrlm.bandit_log.ragged import segment_sum
from mrlm.learners.registry import LEARNERS
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.worlds.tabular import policy_evaluation, uniform


def test_every_sequential_learner_is_measured() -> None:
    own = {n for n, k in LEARNERS.items() if isinstance(k, SequentialLearner)}
    assert own == {*tabular.VALUES, *tabular.POLICIES}


def test_the_models_are_chain_grid_and_random_ones() -> None:
    worlds = named(3)
    assert list(worlds) == ["chain", "grid", "random 0", "random 1", "random 2"]
    for world in worlds.values():
        sums = segment_sum(world.logger, world.model.offsets)
        np.testing.assert_allclose(sums, 1.0)
        # Every action is tried often enough to be learned of.
        assert (world.logger >= 0.5 * uniform(world.model)).all()
        assert np.abs(world.weights).sum() == pytest.approx(1.0)


def test_learners_are_told_rewards_and_pairs_and_no_truth() -> None:
    world = drawn(0)
    log = world.log(users=1, seed=0)
    sample = sample_of(world, log)
    assert not sample.inputs.value.any()
    assert not sample.inputs.features.dense.any()
    np.testing.assert_allclose(sample.inputs.residual, log.log.rewards @ world.weights)
    assert len(log.log) == 500


def test_a_cell_is_the_regret_of_what_was_learned() -> None:
    """500 transitions say little: anything from the optimum to far worse than chance."""
    cell = tabular.regret_cell("double_q_learning", drawn(0), users=1)
    assert -1e-9 <= cell["regret"] < 2
    assert cell["seconds"] > 0


def test_the_counted_model_comes_close_to_the_model() -> None:
    world = drawn(1)
    known = counted(world, world.log(users=100, seed=0))
    assert np.abs(known.reward - world.model.reward).max() < 0.25
    assert np.abs(known.transition - world.model.transition).max() < 0.12
    assert tabular.counted_regret(world, 100)["regret"] < 0.01


def test_exact_rows_have_the_models_frequencies() -> None:
    model = drawn(2).model
    seen, rewards, rounded = exact_experience(model, 16)
    pairs, states = model.transition.shape
    n = 16 * pairs
    assert len(seen) == n + states
    assert int(seen.counted.sum()) == n
    pair = seen.features.item[seen.shown(seen.action.new_tensor(range(n)))[0][:, 0].numpy()]
    np.testing.assert_array_equal(pair, np.repeat(np.arange(pairs), 16))
    following = seen.following.numpy()[:n]
    count = np.zeros((pairs, states))
    going = following >= 0
    np.add.at(count, (pair[going], following[going] - n), 1)
    np.testing.assert_allclose(count / 16, rounded.transition)
    assert np.abs(rounded.transition - model.transition).max() <= 1 / 16
    np.testing.assert_allclose(rewards[:n], model.reward[pair])
    even = uniform(model)
    near = policy_evaluation(rounded, even, DISCOUNT) - policy_evaluation(model, even, DISCOUNT)
    assert np.abs(near).max() < 1.0


def test_bars_bind_on_mean_and_on_the_worst() -> None:
    good, bad = {"regret": 0.0, "seconds": 1.0}, {"regret": 0.15, "seconds": 1.0}
    mean, worst = tabular._regret_rows("x", [good] * 9 + [bad], values=True, judged=True)
    assert (mean.holds, worst.holds) == (True, False)
    mean, worst = tabular._regret_rows("x", [good] * 9 + [bad], values=False, judged=True)
    assert (mean.holds, worst.holds) == (True, True)
    assert all(r.holds is None for r in tabular._regret_rows("x", [bad], values=True, judged=False))
    exact, logged = tabular._error_rows(
        [[0.001, 0.02]], [{"network": 0.05, "counted": 0.04}], judged=True
    )
    assert (exact.holds, logged.holds, logged.peer) == (False, True, 0.04)


def test_the_long_term_is_judged_by_the_best_of_each_room() -> None:
    contenders = long_term.contenders()
    assert set(long_term.SEQUENTIAL) < set(contenders) < set(LEARNERS)
    cells = [
        {"chance": 0.8, "q_learning": q, "double_q_learning": d, "poem": 0.6, "ips_gradient": i}
        | {"advantage_weighted_regression": 0.7}
        for q, d, i in ((0.9, 0.95, 0.7), (0.9, 0.99, 0.66))
    ]
    row = long_term._rows("x", cells, effect=True, judged=True)[-1]
    # Paired: .25 and .33, standard error .04; the t quantile with one degree of freedom is 6.31.
    assert row.ours == pytest.approx(0.29)
    assert "double_q_learning against ips_gradient" in row.note
    assert row.holds is (0.29 > 6.313751515 * 0.04)
    tie = long_term._rows("x", cells, effect=False, judged=True)[-1]
    assert tie.holds is False


def test_without_the_peers_there_is_a_row_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tabular, "PEERS", PeerEnvironment("nowhere", "bench-rl"))
    row = tabular._torchrl_row(None, {}, 1)  # type: ignore[arg-type]
    assert row.holds is None
    assert "make bench-rl" in row.note
