"""A log that gittins made in recogym's world, and the truth: run by the peers' own Python.

``python gittins_log.py FILE.npz`` prints JSON: gittins' experience log, the organic views of its
users, and fresh contexts with the true click probability of every product and with what gittins
would take after the first half of the log.

The world is ``RecoEnv1`` with its defaults: 10 products, 1 to 2 % clicks. What is shown changes a
user's path through a click alone, after which the user looks around. So the fresh contexts come
from two paths, half of the users each: products are shown uniformly on one, and the one with the
highest click probability on the other; the paths of all policies lie between.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

# Seconds: 500 rounds a night, and twenty until a reward counts as one that never comes.
_START, _ROUND = 1_767_225_600.0, 172.8
_HORIZON = 20 * _ROUND
_BITS = 12
# recogym's random numbers: of the log, of each path. The first ones drew the products.
_LOG, _PATHS = 1, {"uniform": 2, "best": 3}
_MISSING = 0.1
# Rounds of a user are alike: of the fresh ones every fourth is kept, from a random one on.
_KEPT = 4


def world(seed: int) -> Any:
    """RecoEnv1 at its defaults; each seed has products of its own."""
    # numba looks up the types of ten numbers for longer than Python needs to work on them.
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    # recogym's own agents need TensorFlow and names that scipy no longer has: they stay out.
    found = find_spec("recogym")
    package, agents = types.ModuleType("recogym"), types.ModuleType("recogym.agents")
    package.__path__ = list(found.submodule_search_locations or ()) if found else []
    agents.Agent = object  # type: ignore[attr-defined]
    sys.modules.update({"recogym": package, "recogym.agents": agents})
    from recogym.envs.reco_env_v1 import RecoEnv1, env_1_args

    env = RecoEnv1()
    env.init_gym({**env_1_args, "random_seed": seed})
    return env


def click_probabilities(env: Any) -> Any:
    """Of each product, for the user as it is now."""
    from recogym.envs.reco_env_v1 import ff

    return ff((env.beta @ env.omega + env.mu_bandit).ravel())


@dataclass
class Rounds:
    """Who was there in each round, and how many of the user's views were known then."""

    user: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    views: list[list[int]] = field(default_factory=list)

    def add(self, user: int, seen: int) -> None:
        """One round of the last user in ``views``."""
        self.user.append(user)
        self.seen.append(seen)

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {"user": self.user, "seen": self.seen, "views": self.views}


def live(env: Any, user: int, act: Callable[[list[int]], int]) -> Iterator[tuple[int, float]]:
    """One user's life: after each round, what was shown and whether it was clicked.

    ``act`` is given the products that the user has viewed so far, and gives what is shown.
    """
    env.reset(user)
    views: list[int] = []
    observation, _, done, _ = env.step(None)
    while not done:
        views += [int(view["v"]) for view in observation.sessions()]
        shown = act(views)
        observation, click, done, _ = env.step(shown)
        yield shown, float(click)


def context(form: str, views: list[int], products: int) -> dict[str, Any]:
    """What gittins is told of a user."""
    if form == "last view":
        return {"last": f"p{views[-1]}"}
    if form == "shares of views":
        return {f"v{i}": n / len(views) for i, n in enumerate(np.bincount(views, None, products))}
    if form == "logarithms of views":
        return {f"v{i}": np.log1p(n) for i, n in enumerate(np.bincount(views, None, products))}
    raise ValueError(f"no form {form!r} is known")


class Engine:
    """gittins and its log, as its README has it."""

    def __init__(self, seed: int, form: str, products: int, epsilon: float) -> None:
        import gittins

        self._of, self._form = gittins, form
        self._items: list[tuple[str, dict[str, Any]]] = [(f"p{i}", {}) for i in range(products)]
        self._state = gittins.create(bits=_BITS, horizon=_HORIZON, epsilon=epsilon)
        # Its draws follow from the salt and the number of the decision.
        self._salt = f"log-{seed}"
        self._arrives = np.random.default_rng(seed)
        self._record: Any = None
        self.time = _START
        self.lines: list[str] = []

    def decide(self, views: list[int]) -> int:
        """What it shows."""
        told = context(self._form, views, len(self._items))
        self._record = self._of.decide(self._state, told, self._items, self.time, self._salt)
        self.lines.append(self._of.log_line(self._record))
        return int(self._record.chosen)

    def resolve(self, click: float) -> None:
        """A second later the reward arrives, or never does; what is past its time expires."""
        if self._arrives.random() >= _MISSING:
            found = self._of.learn(self._state, self._record.decision_id, click, self.time + 1)
            self.lines.append(self._of.log_line(found))
        self.time += _ROUND
        self.expire()

    def expire(self) -> None:
        """It learns 0 where no reward came in time."""
        for found in self._of.expire(self._state, self.time):
            self.lines.append(self._of.log_line(found))

    def frozen(self) -> Callable[[list[int]], int]:
        """Its greedy policy as of now: the product with the highest estimate."""
        state = self._of.deserialize(self._of.serialize(self._state))
        estimates: list[list[float]] = []

        def take(found: list[float], epsilon: float) -> list[float]:
            estimates.append(found)
            return [1.0 / len(found)] * len(found)

        def act(views: list[int]) -> int:
            told = context(self._form, views, len(self._items))
            self._of.decide(state, told, self._items, self.time, self._salt, explore=take)
            return int(np.argmax(estimates.pop()))

        return act


def logged(env: Any, engine: Engine, many: int) -> tuple[Rounds, Callable[[list[int]], int]]:
    """So many rounds, and the greedy policy after half of them."""
    env.reset_random_seed(_LOG)
    found, greedy = Rounds(), engine.frozen()
    while len(found.user) < many:
        views: list[int] = []
        user = len(found.views)
        found.views.append(views)

        def act(now: list[int], views: list[int] = views, user: int = user) -> int:
            views[:] = now
            found.add(user, len(now))
            return engine.decide(now)

        for _, click in live(env, user, act):
            engine.resolve(click)
            if len(found.user) == many // 2:
                greedy = engine.frozen()
            if len(found.user) == many:
                break
    engine.time += _HORIZON
    engine.expire()
    return found, greedy


def fresh(
    env: Any, path: str, users: int, seed: int, greedy: Callable[[list[int]], int]
) -> dict[str, Any]:
    """Contexts of new users on a path, click probabilities of all products, gittins' choice."""
    env.reset_random_seed(_PATHS[path])
    random = np.random.default_rng([seed, _PATHS[path]])
    found, truth, taken = Rounds(), [], []
    for user in range(users):
        views: list[int] = []
        found.views.append(views)
        passed = int(random.integers(_KEPT))

        def act(now: list[int], views: list[int] = views, user: int = user) -> int:
            nonlocal passed
            views[:] = now
            clicks = click_probabilities(env)
            passed += 1
            if passed % _KEPT == 0:
                found.add(user, len(now))
                truth.append([round(float(p), 7) for p in clicks])
                taken.append(greedy(now))
            if path == "best":
                return int(np.argmax(clicks))
            return int(random.integers(len(clicks)))

        for _ in live(env, user, act):
            pass
    return {**found.told(), "truth": truth, "gittins": taken}


def main(given: Any) -> dict[str, Any]:
    """All that the benchmark reads."""
    seed, users = int(given["seed"]), int(given["users"])
    env = world(seed)
    engine = Engine(seed, str(given["form"]), env.config.num_products, float(given["epsilon"]))
    log, greedy = logged(env, engine, int(given["rounds"]))
    paths = {path: fresh(env, path, users // 2, seed, greedy) for path in _PATHS}
    seconds = round(time.process_time(), 2)
    return {"lines": engine.lines, "log": log.told(), "fresh": paths, "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(main(np.load(sys.argv[1]))))
