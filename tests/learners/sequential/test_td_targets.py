"""Targets by hand: ends, cuts, pads, what is not on offer, and how far a return may go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mrlm.behaviour.networks.network import Pairs
from mrlm.learners.sequential.q_regression import regress_q
from mrlm.learners.sequential.target_network import TargetNetwork
from mrlm.learners.sequential.td_targets import double_target, expected_target, squared_error
from mrlm.learners.settings import LearningSettings
from tests.learners.sequential.table import Table, table_experience


def test_an_end_has_its_reward_and_a_cut_has_no_target() -> None:
    """The last of three ended; the second is cut by the end of the log."""
    seen = table_experience([2, 2, 2], [0, 0, 0], [1.0, 2.0, 3.0], [-1, -1, -1], [0, 1, 0])
    table = Table([9.0] * 6)
    goal = double_target(table, table, seen, torch.arange(3), 0.9)
    assert goal.tolist() == [1.0, 2.0, 3.0]
    assert seen.counted.tolist() == [True, False, True]
    shown = seen.sets.scores(table, *seen.shown(torch.arange(3)))[:, 0]
    loss = squared_error(shown, goal, seen.counted)
    (gradient,) = torch.autograd.grad(loss, table.values)
    # Candidate 2 is what was shown in the decision that was cut.
    assert gradient[2, 0] == 0.0
    assert (gradient[[0, 4], 0] != 0).all()
    assert float(loss.detach()) == pytest.approx(0.5 * (8.0**2 + 6.0**2) / 2)


def test_the_best_is_the_onlines_and_its_value_the_targets() -> None:
    seen = table_experience([1, 3], [0, 0], [1.0, 0.0], [1, -1])
    online, target = Table([0, 1.0, 5.0, 2.0]), Table([0, 7.0, -3.0, 4.0])
    assert double_target(online, target, seen, torch.tensor([0]), 0.5).tolist() == [1.0 - 1.5]


def test_pads_and_the_candidates_of_others_are_never_chosen() -> None:
    """Sets of 1, 4 and 2 in one batch; every Q that is on offer is below 0, pads are not."""
    seen = table_experience([1, 4, 2], [0, 0, 0], [0.0, 0.0, 0.0], [2, 2, 1])
    # The first candidate of the log, to which pads point, is by far the best of all.
    q = [100.0, -4.0, -3.0, -5.0, -6.0, -2.0, -1.0]
    table = Table(q)
    rows = torch.tensor([0, 1, 2])
    assert double_target(table, table, seen, rows, 0.5).tolist() == [-0.5, -0.5, -1.5]

    def even(place: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return mask / mask.sum(1, keepdim=True)

    found = expected_target(table, even, seen, rows, 0.5)
    assert found.tolist() == pytest.approx([-0.75, -0.75, -2.25])
    assert not found.requires_grad


def test_what_is_not_allowed_is_not_chosen() -> None:
    seen = table_experience([1, 3], [0, 0], [0.0, 0.0], [1, -1])
    table = Table([0.0, 1.0, 5.0, 2.0])
    allowed = torch.tensor([True, True, False, True])
    goal = double_target(table, table, seen, torch.tensor([0]), 0.5, allowed=allowed)
    assert goal.tolist() == [1.0]


@pytest.mark.parametrize(
    ("case", "action", "cut", "ended", "wanted"),
    [
        # Rewards 1, 10, 100; the best of each next set is its second candidate, of Q 3 and 7.
        ("the next action is not the best", [0, 0, 1], False, False, 1 + 0.5 * 3),
        ("the best, then another", [0, 1, 0], False, False, 1 + 0.5 * 10 + 0.25 * 7),
        ("the best twice, then the end", [0, 1, 1], False, False, 1 + 0.5 * 10 + 0.25 * 100),
        ("the best, and there the session ends", [0, 1, 0], False, True, 1 + 0.5 * 10),
        ("the best, and there the log is cut", [0, 1, 0], True, True, 1 + 0.5 * 3),
    ],
)
def test_returns_go_on_for_as_long_as_the_log_did_the_best(
    case: str, action: list[int], cut: bool, ended: bool, wanted: float
) -> None:
    following = [1, -1 if ended else 2, -1]
    seen = table_experience([1, 2, 2], action, [1.0, 10.0, 100.0], following, [False, cut, False])
    table = Table([0.0, 1.0, 3.0, 2.0, 7.0])
    assert double_target(table, table, seen, torch.tensor([0]), 0.5, steps=3).tolist() == [wanted]
    one = double_target(table, table, seen, torch.tensor([0]), 0.5, steps=1)
    assert one.tolist() == [1 + 0.5 * 3]


def test_two_steps_are_two() -> None:
    seen = table_experience([1, 2, 2, 2], [0, 1, 1, 1], [1.0, 10.0, 100.0, 1000.0], [1, 2, 3, -1])
    table = Table([0, 1, 3, 2, 7, 4, 9])
    goal = double_target(table, table, seen, torch.tensor([0]), 0.5, steps=2)
    assert goal.tolist() == [1 + 0.5 * 10 + 0.25 * 7]


@pytest.mark.statistics
def test_two_networks_do_not_take_luck_for_value() -> None:
    """Ten actions worth 0: one noisy network expects 1.54, two expect 0.

    4,000 states; five standard errors of either mean: error rate below 1e-5.
    """
    n = 4_000
    sizes, following = [10] * n + [1] * n, [-1] * n + list(range(n))
    seen = table_experience([10] * 10 + [1] * 10, [0] * 20, [0.0] * 20, [-1] * 10 + [*range(10)])
    rng = np.random.default_rng(0)
    single, double = [], []
    for _ in range(n // 10):
        a, b = (Table(np.r_[rng.normal(size=100), np.zeros(10)].tolist()) for _ in range(2))
        index = torch.arange(10, 20)
        single += double_target(a, a, seen, index, 0.5).tolist()
        double += double_target(a, b, seen, index, 0.5).tolist()
    assert len(single) == n == len(sizes) - n == following[-1] + 1
    assert abs(np.mean(double)) < 5 * 0.5 / np.sqrt(n)
    assert np.mean(single) == pytest.approx(0.5 * 1.5388, abs=5 * 0.5 * 0.587 / np.sqrt(n))


def test_squared_error_is_least_at_the_mean_where_hubers_is_not() -> None:
    """One reward of 7 in fifty, as a standardised click has: its mean is .14."""
    reward = torch.tensor([7.0] + [0.0] * 49)
    mean = torch.full((50,), float(reward.mean()), requires_grad=True)
    everywhere = torch.ones(50, dtype=torch.bool)
    (gradient,) = torch.autograd.grad(squared_error(mean, reward, everywhere), mean)
    assert float(gradient.sum()) == pytest.approx(0.0, abs=1e-6)
    (gradient,) = torch.autograd.grad(functional.huber_loss(mean, reward), mean)
    assert float(gradient.sum()) > 0.1


def test_squared_error_sums_outputs_and_is_zero_at_the_goal() -> None:
    goal = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    counted = torch.tensor([True, True])
    assert float(squared_error(goal, goal, counted)) == 0.0
    off = goal + torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    assert float(squared_error(off, goal, counted)) == pytest.approx(0.5 * 5 / 2)
    assert float(squared_error(off, goal, torch.tensor([False, False]))) == 0.0


def test_a_target_network_is_renewed_when_it_is_due_and_never_else() -> None:
    table = Table([0.0, 0.0])
    target = TargetNetwork(table, every=3)
    seen = []
    for update in range(1, 8):
        with torch.no_grad():
            table.values += 1.0
        target.after_update()
        seen.append(float(target.frozen.values.detach()[0]))
        assert float(table.values.detach()[0]) == update
    assert seen == [0.0, 0.0, 3.0, 3.0, 3.0, 6.0, 6.0]
    assert not target.frozen.training


class Watched(Table):
    """Notes in which mode it is asked."""

    def __init__(self, values: list[float]) -> None:
        super().__init__(values)
        self.modes: list[bool] = []

    def forward(self, pairs: Pairs) -> torch.Tensor:
        """Shape (b, 1)."""
        self.modes.append(self.training)
        return super().forward(pairs)


def test_what_looks_ahead_has_no_dropout_and_what_learns_has() -> None:
    seen = table_experience([1, 2], [0, 1], [1.0, 2.0], [1, -1])
    network = Watched([0.0, 0.0, 0.0])
    target = TargetNetwork(network, every=1)
    settings = LearningSettings(epochs=2, batch_size=8, learning_rate=0.1, discount=0.5)

    def goal(index: torch.Tensor) -> torch.Tensor:
        return double_target(network, target.frozen, seen, index, 0.5)[:, None]

    regress_q(network, target, goal, seen, settings, seed=0)
    assert network.modes == [False, True, False, True]
    assert set(target.frozen.modes) == {False}
    assert not network.training


def test_q_is_found_where_it_is_a_table() -> None:
    """Three decisions in a row, every action shown: r + discount max of what follows, by hand."""
    seen = table_experience(
        [2, 2, 2, 2], [0, 1, 0, 1], [0.0, 1.0, 5.0, 2.0], [2, 3, -1, -1], [False] * 4
    )
    # Decisions 0 and 1 lead to 2 and 3, whose other candidates nobody tried and start at -9.
    network = Table([0.0, 0.0, 0.0, 0.0, 0.0, -9.0, -9.0, 0.0])
    target = TargetNetwork(network, every=1)
    settings = LearningSettings(
        epochs=800, batch_size=8, learning_rate=0.05, weight_decay=0, discount=0.5
    )

    def goal(index: torch.Tensor) -> torch.Tensor:
        return double_target(network, target.frozen, seen, index, 0.5)[:, None]

    regress_q(network, target, goal, seen, settings, seed=0)
    found = network.values.detach()[:, 0].numpy()
    np.testing.assert_allclose(found[[0, 3, 4, 7]], [2.5, 2.0, 5.0, 2.0], atol=0.01)
    assert found[[1, 2, 5, 6]].tolist() == [0.0, 0.0, -9.0, -9.0], "nothing was shown there"
