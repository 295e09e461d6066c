from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.learners.network import CandidateSets, ScoreNetwork, make_score_network
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.q_learning import conservative_loss, train
from mrlm.learners.sequential.td_targets import double_target
from mrlm.learners.sequential.transitions import Transitions, transitions
from mrlm.learners.settings import LearningSettings

OFFSETS = np.array([0, 3, 5, 9])


def scored(seed: int = 0) -> tuple[ScoreNetwork, ScoreNetwork, Experience]:
    """Two different networks over three decisions with 3, 2 and 4 candidates.

    The third follows the first, the first the second, and nothing the third.
    """
    rng = np.random.default_rng(seed)
    features = PairFeatures(
        dense=rng.normal(size=(9, 3)).astype(np.float32),
        item=np.arange(9) % 4,
        row=np.repeat(np.arange(3), np.diff(OFFSETS)),
        item_vectors=rng.normal(size=(4, 2)).astype(np.float32),
        user_vectors=rng.normal(size=(3, 2)).astype(np.float32),
    )
    networks = []
    for s in (1, 2):
        network = make_score_network(features, LearningSettings(), seed=s, gain=float(s))
        with torch.no_grad():
            network.pair.head.weight.normal_(generator=torch.Generator().manual_seed(s))
        networks.append(network.eval())
    following, cut = np.array([2, 0, -1]), np.zeros(3, bool)
    seen = Experience.of(
        features,
        OFFSETS,
        np.zeros(3, np.int64),
        np.array([1.0, -2.0, 0.5]),
        Transitions(following, following < 0, cut),
    )
    return networks[0], networks[1], seen


def all_scores(network: ScoreNetwork, sets: CandidateSets) -> np.ndarray:
    with torch.no_grad():
        return sets.scores(network, *sets.places(torch.arange(3))).numpy()


def test_the_target_is_double_and_stops_at_the_end() -> None:
    online, target, seen = scored()
    reward, following = seen.reward, seen.following.tolist()
    goal = double_target(online, target, seen, torch.arange(3), discount=0.9)
    chosen, valued = all_scores(online, seen.sets), all_scores(target, seen.sets)
    for i, j in ((0, 2), (1, 0)):
        assert following[i] == j
        wanted = reward[i] + 0.9 * valued[j, chosen[j].argmax()]
        assert float(goal[i]) == pytest.approx(float(wanted), rel=1e-5)
    assert float(goal[2]) == 0.5, "nothing follows: the reward and nothing else"


def test_the_target_has_no_gradient_and_the_reward_is_not_changed() -> None:
    online, target, seen = scored()
    goal = double_target(online, target, seen, torch.arange(3), 0.9)
    assert not goal.requires_grad
    assert seen.reward.tolist() == [1.0, -2.0, 0.5]


def test_the_loss_is_zero_where_q_is_the_goal_and_huber_elsewhere() -> None:
    scores = torch.tensor([[1.0, 2.0, -torch.inf], [0.0, 0.5, 3.0]])
    action, counted = torch.tensor([1, 2]), torch.tensor([True, True])
    exact = conservative_loss(scores, action, torch.tensor([2.0, 3.0]), counted, 0.0)
    assert float(exact) == 0.0
    off = conservative_loss(scores, action, torch.tensor([2.5, 6.0]), counted, 0.0)
    assert float(off) == pytest.approx((0.125 + 2.5) / 2)
    half = conservative_loss(
        scores, action, torch.tensor([2.5, 6.0]), torch.tensor([True, False]), 0.0
    )
    assert float(half) == pytest.approx(0.125)


def test_the_conservative_term_pushes_down_what_was_not_logged() -> None:
    scores = torch.tensor([[1.0, 2.0, 0.0]], requires_grad=True)
    never = torch.tensor([False])
    loss = conservative_loss(scores, torch.tensor([0]), torch.zeros(1), never, 1.0)
    assert float(loss.detach()) == pytest.approx(float(np.log(np.exp([1, 2, 0]).sum()) - 1.0))
    loss.backward()
    assert scores.grad is not None
    gradient = scores.grad[0].tolist()
    assert gradient[0] < 0 < min(gradient[1:])
    assert sum(gradient) == pytest.approx(0.0, abs=1e-6)


def sessions(
    log: BanditLog,
    names: list[str],
    steps: list[int],
    minutes: list[int],
    users: list[str] | None = None,
    nights: list[str] | None = None,
) -> BanditLog:
    """Decisions of sessions by name and step, of one user in one night if none are given."""
    start = np.datetime64("2026-11-09T20:00:00", "us")
    part = log.take(np.arange(len(names)))
    ts = start + np.array(minutes, "timedelta64[m]")
    return replace(
        part,
        session=np.array(names, object),
        session_step=np.array(steps, np.int32),
        night=np.array(nights or ["2026-11-09"] * len(names), object),
        decisions=replace(
            part.decisions, ts=ts, user=np.array(users or ["u"] * len(names), object)
        ),
    )


def test_transitions_tell_ends_from_cuts(fit_log: BanditLog) -> None:
    log = sessions(
        fit_log,
        names=["a", "b", "a", "c", "a", "c", "d"],
        steps=[0, 0, 1, 0, 2, 2, 0],
        minutes=[0, 1, 2, 3, 4, 10, 100],
    )
    got = transitions(log, session_gap_minutes=30)
    assert got.following.tolist() == [2, -1, 4, -1, -1, -1, -1]
    # c lacks its step 1; d ends with the log and may go on after it.
    assert got.terminal.tolist() == [False, True, False, False, True, True, False]
    assert got.truncated.tolist() == [False, False, False, True, False, False, True]


def test_a_name_that_two_users_or_two_nights_share_is_two_sessions(fit_log: BanditLog) -> None:
    log = sessions(
        fit_log,
        names=["1"] * 6,
        steps=[0, 0, 1, 1, 0, 1],
        minutes=[0, 1, 2, 3, 1440, 1441],
        users=["u", "v", "u", "v", "u", "u"],
        nights=["2026-11-09"] * 4 + ["2026-11-10"] * 2,
    )
    got = transitions(log, session_gap_minutes=0)
    assert got.following.tolist() == [2, 3, -1, -1, 5, -1]
    assert got.terminal.tolist() == [False, False, True, True, False, True]


def test_a_session_that_goes_on_past_midnight_has_no_end(fit_log: BanditLog) -> None:
    log = sessions(
        fit_log,
        names=["a", "a", "b", "c"],
        steps=[0, 1, 0, 0],
        minutes=[230, 239, 241, 400],
        nights=["2026-11-09"] * 2 + ["2026-11-10"] * 2,
    )
    got = transitions(log, session_gap_minutes=0)
    assert got.terminal.tolist() == [False, True, True, True]
    got = transitions(log, session_gap_minutes=30)
    assert got.truncated.tolist() == [False, True, False, True]


def chain() -> tuple[PairFeatures, Transitions, np.ndarray, np.ndarray]:
    """Two-step sessions. Arm 0 pays .3 now; arm 1 pays nothing and leads to a state that pays 1."""
    rng = np.random.default_rng(0)
    n = 800
    action = rng.integers(0, 2, n)
    first = np.arange(n) % 2 == 0
    good = np.zeros(n, bool)
    good[1::2] = action[::2] == 1
    reward = np.where(first, 0.3 * (action == 0), 1.0 * good)
    dense = np.zeros((2 * n, 4), np.float32)
    dense[:, 0] = np.repeat(first, 2)
    dense[:, 1] = np.repeat(good, 2)
    dense[:, 2] = np.tile([0.0, 1.0], n)
    features = PairFeatures(
        dense=dense,
        item=np.tile(np.arange(2), n),
        row=np.repeat(np.arange(n), 2),
        item_vectors=np.eye(2, dtype=np.float32),
        user_vectors=np.ones((n, 2), np.float32),
    )
    following = np.where(first, np.arange(n) + 1, -1)
    steps = Transitions(following, ~first, np.zeros(n, bool))
    return features, steps, action, reward


def seen_of(
    features: PairFeatures, steps: Transitions, action: NDArray[np.int64], reward: np.ndarray
) -> Experience:
    """Every decision with two candidates."""
    return Experience.of(features, np.arange(len(action) + 1) * 2, action, reward, steps)


@pytest.mark.parametrize(("discount", "best"), [(0.0, 0), (0.9, 1)])
def test_it_looks_as_far_ahead_as_the_discount(discount: float, best: int) -> None:
    features, steps, action, reward = chain()
    n, seen = len(action), seen_of(features, steps, action, reward)
    settings = LearningSettings(
        discount=discount,
        conservative=0.0,
        epochs=15,
        batch_size=32,
        target_every=20,
        learning_rate=1e-2,
        dropout=0.0,
    )
    network = make_score_network(features, settings, seed=0, gain=1.0)
    train(network, seen, settings, seed=0)
    with torch.no_grad():
        q = seen.sets.scores(network, *seen.sets.places(torch.arange(0, n, 2))).numpy()
    wanted = [0.3, discount * 1.0]
    assert int(q.mean(axis=0).argmax()) == best
    np.testing.assert_allclose(q.mean(axis=0), wanted, atol=0.12)


def test_truncated_rows_teach_nothing_without_the_conservative_term() -> None:
    features, _, action, reward = chain()
    n = len(action)
    settings = LearningSettings(conservative=0.0, epochs=1, dropout=0.0, weight_decay=0.0)
    network = make_score_network(features, settings, seed=0, gain=1.0)
    before = copy.deepcopy(network.state_dict())
    cut = Transitions(np.full(n, -1), np.zeros(n, bool), np.ones(n, bool))
    train(network, seen_of(features, cut, action, reward), settings, seed=0)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_the_target_network_is_frozen_between_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    from mrlm.learners.sequential import q_learning

    features, steps, action, reward = chain()
    seen: list[float] = []

    def spy(network: ScoreNetwork, target: ScoreNetwork, *rest: object) -> torch.Tensor:
        seen.append(float(sum(p.detach().abs().sum() for p in target.parameters())))
        return double_target(network, target, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(q_learning, "double_target", spy)
    settings = LearningSettings(epochs=1, batch_size=100, target_every=3)
    network = make_score_network(features, settings, seed=0, gain=1.0)
    train(network, seen_of(features, steps, action, reward), settings, seed=0)
    assert len(seen) == 8
    assert seen[0] == seen[1] == seen[2] != seen[3]
    assert seen[3] == seen[4] == seen[5] != seen[6]
