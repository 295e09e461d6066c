"""Sessions of a tabular model as a bandit log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Histories, Objective, Ragged
from mrlm.bandit_log.ragged import gather
from mrlm.worlds.tabular.tabular_model import TabularModel

_START = np.datetime64("2026-11-09T12:00:00", "us")


@dataclass(frozen=True)
class TabularLog:
    """What was logged, and which pair of the model each candidate is.

    Attributes:
        log: n decisions with N candidates in all.
        pair: int64, shape (N,).
    """

    log: BanditLog
    pair: NDArray[np.int64]


def tabular_log(
    model: TabularModel, policy: NDArray[np.float64], *, users: int, rounds: int, seed: int
) -> TabularLog:
    """``users`` · ``rounds`` decisions of a policy, one a minute and user.

    A user whose session ended starts another in the next round; the sessions of the last round are
    cut by the end of the log. Scenes are states and items are actions. The first objective is the
    north star.

    Args:
        model: of S states and P pairs.
        policy: float64, shape (P,), probability of each pair in its state.
        users: at a time.
        rounds: of one decision each.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    following = np.cumsum(model.transition, axis=1)
    begin = np.cumsum(model.start)
    cumulative = np.cumsum(policy)
    before = np.concatenate([[0.0], cumulative])[model.offsets[:-1]]
    state = np.empty((rounds, users), np.int64)
    shown = np.empty((rounds, users), np.int64)
    session = np.empty((rounds, users), np.int64)
    step = np.empty((rounds, users), np.int32)
    now = np.searchsorted(begin, rng.random(users) * begin[-1], side="right")
    count, place = np.zeros(users, np.int64), np.zeros(users, np.int32)
    for t in range(rounds):
        drawn = np.searchsorted(cumulative, before[now] + rng.random(users), side="right")
        pair = np.clip(drawn, model.offsets[now], model.offsets[now + 1] - 1)
        state[t], shown[t], session[t], step[t] = now, pair, count, place
        after = (following[pair] <= rng.random(users)[:, None]).sum(1)
        ended = after == len(model.start)
        fresh = np.searchsorted(begin, rng.random(users) * begin[-1], side="right")
        now = np.where(ended, fresh, after)
        count, place = count + ended, np.where(ended, 0, place + 1).astype(np.int32)
    reward = model.reward[shown.ravel()]
    reward = reward + model.noise * rng.normal(size=reward.shape)
    return _as_log(model, policy, state, shown, session, step, reward)


def _as_log(
    model: TabularModel,
    policy: NDArray[np.float64],
    state: NDArray[np.int64],
    shown: NDArray[np.int64],
    session: NDArray[np.int64],
    step: NDArray[np.int32],
    reward: NDArray[np.float64],
) -> TabularLog:
    rounds, users = state.shape
    n, m = rounds * users, model.reward.shape[1]
    pair, offsets = gather(model.offsets, state.ravel())
    at, user = np.divmod(np.arange(n), users)
    nothing = Ragged(np.zeros(n + 1, np.int64), np.zeros(0, np.int32))
    ts = _START + at * np.timedelta64(60_000_000, "us")
    decisions = Decisions(
        catalog=Catalog.of_names([f"a{k}" for k in range(int(model.action.max()) + 1)]),
        user=np.array([f"u{u}" for u in range(users)], object)[user],
        scene=np.array([f"s{s}" for s in range(len(model.start))], object)[state.ravel()],
        position=np.ones(n, np.int32),
        ts=ts,
        candidates=Ragged(offsets, model.action[pair].astype(np.int32)),
        histories=Histories.none(),
        since=np.zeros(n, np.int64),
        until=np.zeros(n, np.int64),
        request=np.arange(n),
        above=nothing,
    )
    names = [f"u{u}-{k}" for u, k in zip(user, session.ravel(), strict=True)]
    log = BanditLog(
        decisions=decisions,
        decision_id=np.array([f"r{i}#1" for i in range(n)], object),
        night=ts.astype("datetime64[D]"),
        session=np.array(names, object),
        session_step=step.ravel(),
        action=shown.ravel() - model.offsets[state.ravel()],
        propensity=policy[shown.ravel()],
        candidate_propensity=policy[pair],
        policy_id=np.full(n, "tabular", object),
        objectives=tuple(
            Objective(
                name=f"reward_{j}",
                source="feedback",
                role="north_star" if j == 0 else "component",
                event="reward",
            )
            for j in range(m)
        ),
        rewards=reward,
        final=np.ones((n, m), np.bool_),
        unknown=np.zeros((n, m), np.bool_),
        lost=np.zeros((n, m), np.int64),
    )
    return TabularLog(log, pair)
