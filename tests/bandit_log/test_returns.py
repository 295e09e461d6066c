"""Returns by hand, and against a plain loop over made logs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Objective
from mrlm.bandit_log.sessions.later_requests import LaterRequests
from mrlm.bandit_log.sessions.returns import with_returns
from mrlm.worlds.latent import latent_log

D = 0.5
CLICK = Objective("click", "feedback", event="click", transform="any", missing=0.0)
STAY = replace(CLICK, name="stay", role="north_star", discount=D)


def log_of(rows: list[tuple[str, str, str, int, float]]) -> BanditLog:
    """A log of (user, night, session, request, click) rows, in the order given."""
    log = latent_log(40, 6, n_candidates=3, seed=0)[0].take(np.arange(len(rows)))
    user, night, session, request, click = zip(*rows, strict=True)
    position = [sum(r == request[i] for r in request[: i + 1]) for i in range(len(rows))]
    step = [sum(r[:3] == rows[i][:3] for r in rows[:i]) for i in range(len(rows))]
    reward = np.array(click)[:, None].repeat(2, axis=1)
    return replace(
        log,
        decisions=replace(log.decisions, user=np.array(user, object)),
        decision_id=np.array(
            [f"r#{r}#{p}" for r, p in zip(request, position, strict=True)], object
        ),
        night=np.array(night, "datetime64[D]"),
        session=np.array(session, object),
        session_step=np.array(step, np.int32),
        objectives=(CLICK, STAY),
        rewards=reward,
        final=np.ones(reward.shape, np.bool_),
        unknown=np.zeros(reward.shape, np.bool_),
        lost=np.zeros(reward.shape, np.int64),
    )


A = ("u", "2026-11-20", "s")


def test_returns_by_hand() -> None:
    """Two sessions that take turns, of three requests and of one."""
    found = with_returns(log_of([(*A, 1, 1.0), ("v", *A[1:], 9, 4.0), (*A, 2, 0.0), (*A, 3, 8.0)]))
    assert found.rewards[:, 1].tolist() == [1 + D * (0 + D * 8), 4.0, D * 8, 8.0]
    assert found.rewards[:, 0].tolist() == [1.0, 4.0, 0.0, 8.0]
    assert found.own is not None
    assert found.own.rewards[:, 1].tolist() == [1.0, 4.0, 0.0, 8.0]


def test_slots_of_a_request_are_at_one_step() -> None:
    """A slot has its own reward and all slots of later requests, none of its neighbours'."""
    found = with_returns(log_of([(*A, 1, 1.0), (*A, 1, 2.0), (*A, 2, 4.0), (*A, 2, 8.0)]))
    assert found.rewards[:, 1].tolist() == [1 + D * 12, 2 + D * 12, 4.0, 8.0]


def test_what_follows_in_another_night_or_session_is_not_seen() -> None:
    rows = [(*A, 1, 1.0), ("u", "2026-11-21", "s", 2, 2.0), ("u", "2026-11-20", "t", 3, 4.0)]
    assert with_returns(log_of(rows)).rewards[:, 1].tolist() == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("state", ["open", "unknown"])
def test_a_return_is_as_final_as_all_that_it_adds_up(state: str) -> None:
    log = log_of([(*A, 1, 1.0), (*A, 2, 2.0), (*A, 3, 4.0), ("v", *A[1:], 9, 8.0)])
    log.final[1], log.rewards[1], log.unknown[1] = False, np.nan, state == "unknown"
    found = with_returns(log)
    assert found.final[:, 1].tolist() == [False, False, True, True]
    assert found.final[:, 0].tolist() == [True, False, True, True]
    assert np.isnan(found.rewards[:, 1]).tolist() == [True, True, False, False]
    assert found.unknown[:, 1].tolist() == [state == "unknown"] * 2 + [False, False]


def made(seed: int, n: int = 300) -> BanditLog:
    """Ragged sessions of ragged requests of several users and nights, in any order."""
    g = np.random.default_rng(seed)
    rows: list[Any] = []
    for request in range(n // 3):
        whose = (f"u{g.integers(4)}", f"2026-11-2{g.integers(2)}", f"s{g.integers(3)}")
        rows += [(*whose, request, float(x)) for x in g.integers(0, 5, g.integers(1, 4))]
    log = log_of(rows[:240])
    return log.take(g.permutation(len(log)))


def plainly(log: BanditLog, discount: float) -> NDArray[np.float64]:
    """Returns by a loop over sessions and requests."""
    out = log.rewards[:, 1].copy()
    name = [d.rpartition("#")[0] for d in log.decision_id]
    key = list(zip(log.decisions.user, log.night.tolist(), log.session, strict=True))
    for i in range(len(log)):
        session = [j for j in range(len(log)) if key[j] == key[i]]
        session.sort(key=lambda j: log.session_step[j])
        requests = list(dict.fromkeys(name[j] for j in session))
        for j in session:
            later = requests.index(name[j]) - requests.index(name[i])
            if later > 0:
                out[i] += discount**later * log.rewards[j, 1]
    return out


@pytest.mark.parametrize("seed", range(3))
def test_returns_of_ragged_sessions_are_those_of_a_loop(seed: int) -> None:
    log = made(seed)
    assert with_returns(log).rewards[:, 1] == pytest.approx(plainly(log, D), abs=1e-12)


def test_reach_is_the_transpose() -> None:
    """c · returns(r) = reach(c) · r for any c and r."""
    log, g = made(3), np.random.default_rng(0)
    later, c, r = LaterRequests.of(log), g.normal(size=len(log)), g.normal(size=len(log))
    assert c @ later.returns(r, 0.9) == pytest.approx(later.reach(c, 0.9) @ r, abs=1e-9)


def test_without_a_discount_the_log_is_the_very_same() -> None:
    log = replace(made(4), objectives=(CLICK, replace(STAY, discount=0.0)))
    assert with_returns(log) is log


def test_parts_keep_what_each_decision_brought() -> None:
    log = with_returns(made(5))
    assert log.own is not None
    back = BanditLog.concat([log.take(np.arange(100)), log.take(np.arange(100, len(log)))])
    assert back.own is not None
    assert back.own.rewards.tolist() == log.own.rewards.tolist()
    assert back.own.known.tolist() == log.own.known.tolist()
    assert back.rewards.tolist() == log.rewards.tolist()


def test_what_follows_is_not_added_twice() -> None:
    with pytest.raises(ValueError, match="returns already"):
        with_returns(with_returns(made(6)))


def test_an_empty_log_has_no_returns() -> None:
    assert len(with_returns(made(7).take(np.zeros(0, np.int64)))) == 0
