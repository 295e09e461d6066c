from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mrlm.ope.sequential import SessionBatch

ACTIONS = (2, 3)
STEPS = 3
# The logger and the world choose with multiples of a quarter, so that a log of so many sessions has
# every course of events exactly as often as its probability says.
SESSIONS = 2 * 4**5
LOGGER = ((0.25, 0.75), (0.25, 0.25, 0.5))
TARGET = ((0.6, 0.4), (0.1, 0.7, 0.2))


def flat_sessions(sessions, g, markov_q=None, name="target", terminal=None):
    """A batch from lists of steps (t, state, action, reward), with a q of every candidate."""
    table = g.normal(size=(STEPS, 2, 3)) if markov_q is None else markov_q
    steps = [s for session in sessions for s in session]
    lengths = np.array([len(s) for s in sessions])
    counts = np.array([ACTIONS[s] for _, s, _, _ in steps])
    step_offsets = np.concatenate([[0], np.cumsum(counts)])
    return SessionBatch(
        cluster=np.arange(len(sessions)),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        log_propensity=np.log([LOGGER[s][a] for _, s, a, _ in steps]),
        log_target=np.log([TARGET[s][a] for _, s, a, _ in steps]),
        rewards=np.array([[r] for *_, r in steps]),
        objectives=("r",),
        step_offsets=step_offsets,
        shown=step_offsets[:-1] + np.array([a for _, _, a, _ in steps]),
        target=np.concatenate([TARGET[s] for _, s, _, _ in steps]),
        q=np.concatenate([table[t, s, : ACTIONS[s]] for t, s, _, _ in steps])[:, None],
        terminal=terminal,
        policy=name,
    )


@pytest.fixture(scope="session")
def make_mdp() -> Callable[..., tuple[SessionBatch, np.ndarray, float]]:
    """Every course of a small world once: batch, chances, true value.

    Two states of two and three actions, at most three steps, and an end that can come before. With
    ``history`` the reward depends on the action before too, so that the state is not enough.
    """

    def make(discount, seed=0, history=False):
        g = np.random.default_rng(seed)
        reward = g.normal(1.0, 1.0, (STEPS, 2, 3))
        habit = g.normal(0.0, 2.0, (3, 3))
        # Chances of state 0, state 1 and the end.
        order = [[0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]
        after = g.integers(0, 3, (2, 3))
        done = []

        def walk(steps, state, logged, aimed, before):
            t = len(steps)
            for a in range(ACTIONS[state]):
                r = reward[t, state, a] + (habit[before, a] if history and t else 0.0)
                now = [*steps, (t, state, a, r)]
                p, q = logged * LOGGER[state][a], aimed * TARGET[state][a]
                if t + 1 == STEPS:
                    done.append((now, p, q))
                    continue
                for following, chance in enumerate(order[after[state, a]]):
                    if following == 2:
                        done.append((now, p * chance, q * chance))
                    else:
                        walk(now, following, p * chance, q * chance, a)

        for start in (0, 1):
            walk([], start, 0.5, 0.5, 0)
        value = sum(q * sum(discount**t * r for t, *_, r in steps) for steps, _, q in done)
        batch = flat_sessions([steps for steps, _, _ in done], g)
        return batch, np.array([p for _, p, _ in done]), float(value)

    return make


@pytest.fixture(scope="session")
def make_population(make_mdp) -> Callable[..., tuple[SessionBatch, float]]:
    """The small world's log in which every course is exactly as frequent as it is likely."""

    def make(discount, seed=0, history=False):
        batch, chance, value = make_mdp(discount, seed, history)
        counts = np.rint(chance * SESSIONS).astype(int)
        assert np.array_equal(counts / SESSIONS, chance)
        index = np.repeat(np.arange(len(batch)), counts)
        copies = batch.take(index)
        return copies, value

    return make


@pytest.fixture(scope="session")
def make_sessions() -> Callable[..., SessionBatch]:
    """A random ragged log of sessions over ragged candidate sets."""

    def make(seed=0, n=50, m=2, users=12, longest=6, missing=0.1, on_policy=False, equal=False):
        g = np.random.default_rng(seed)
        lengths = np.full(n, longest) if equal else g.integers(1, longest + 1, n)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        steps = int(offsets[-1])
        counts = g.integers(1, 5, steps)
        step_offsets = np.concatenate([[0], np.cumsum(counts)])

        def policy():
            x = np.exp(0.5 * g.normal(size=step_offsets[-1]))
            return x / np.repeat(np.add.reduceat(x, step_offsets[:-1]), counts)

        logger = policy()
        target = logger if on_policy else policy()
        up_to = np.cumsum(logger)
        drawn = np.concatenate([[0.0], up_to])[step_offsets[:-1]] + 0.999999 * g.random(steps)
        shown = np.minimum(np.searchsorted(up_to, drawn), step_offsets[1:] - 1)
        rewards = g.normal(0.3, 1.0, (steps, m))
        rewards[g.random((steps, m)) < missing / longest] = np.nan
        return SessionBatch(
            cluster=np.array([f"u{c}" for c in g.integers(0, users, n)], object),
            offsets=offsets,
            log_propensity=np.log(logger[shown]),
            log_target=np.log(target[shown]),
            rewards=rewards,
            objectives=tuple(f"o{j}" for j in range(m)),
            step_offsets=step_offsets,
            shown=shown,
            target=target,
            q=g.normal(size=(step_offsets[-1], m)),
        )

    return make
