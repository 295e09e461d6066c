"""States, items, objectives and a north star whose weights a log has to tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.worlds.weighing.north_star_path import NorthStarPath

Floats = NDArray[np.float64]
# Share of an objective's deviation that is not bilinear.
_BEND = 0.3


@dataclass(frozen=True)
class WeighingLog:
    """Logged decisions of one night: n of K candidates each.

    Attributes:
        pair: float64, shape (n * K, d * d), the products of state and item that models read.
        probability: float64, shape (n * K,), of the policy that wrote the log.
        shown: int64, shape (n,), flat position of the shown candidate.
        user: int64, shape (n,).
        rewards: float64, shape (n, m), observed objectives.
        north_star: float64, shape (n,), observed.
    """

    pair: Floats
    probability: Floats
    shown: NDArray[np.int64]
    user: NDArray[np.int64]
    rewards: Floats
    north_star: Floats


@dataclass(frozen=True)
class WeighingWorld:
    """A decision has a state x and K items e, all standard normal of d dimensions.

    Objective j of a pair has mean 0 and variance 1: a bilinear form of x and e, bent by a sine of
    both. The north star is weights(night) . objectives, plus a bent form of its own that no
    objective holds, plus noise.

    Attributes:
        forms: float64, shape (m + 1, d, d), of Frobenius norm 1; the last is the north star's own.
        waves: float64, shape (m + 1, 2 * d), directions of the sines.
        reward_noise: float64, shape (m,), standard deviation of each observed objective.
        noise: standard deviation of the observed north star.
        path: weights of the objectives by night.
        beyond: size of what the north star holds that no objective does.
        candidates: K.
        floor: exploration floor of every policy.
        decisions_a_user: on one night.
    """

    forms: Floats
    waves: Floats
    reward_noise: Floats
    noise: float
    path: NorthStarPath
    beyond: float = 0.3
    candidates: int = 12
    floor: float = 0.1
    decisions_a_user: int = 3

    @property
    def objectives(self) -> int:
        """How many, without the north star."""
        return len(self.reward_noise)

    def contexts(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Pairs (n * K, d * d) and true means (n * K, m + 1) of n states with their candidates."""
        d = self.forms.shape[1]
        state = np.repeat(rng.standard_normal((n, d)), self.candidates, axis=0)
        item = rng.standard_normal((n * self.candidates, d))
        pair = (state[:, :, None] * item[:, None, :]).reshape(-1, d * d)
        straight = pair @ self.forms.reshape(len(self.forms), -1).T
        bent = np.sqrt(2) * np.sin(np.concatenate([state, item], axis=1) @ self.waves.T)
        return pair, np.sqrt(1 - _BEND**2) * straight + _BEND * bent

    def straight(self, pair: Floats) -> Floats:
        """What a model of the pairs can say of each objective: its bilinear part, shape (N, m)."""
        found: Floats = pair @ self.forms[:-1].reshape(self.objectives, -1).T
        return found

    def north_star(self, means: Floats, night: int) -> Floats:
        """Expected north star of each candidate, shape (N,), from the true means (N, m + 1)."""
        expected: Floats = means[:, :-1] @ self.path.on(night) + self.beyond * means[:, -1]
        return expected

    def log(
        self, n: int, policy: Floats | None, night: int, rng: np.random.Generator
    ) -> WeighingLog:
        """One night of a policy whose logit is linear in the pairs.

        Args:
            n: decisions.
            policy: shape (d * d,), coefficients of the logit; None shows all alike.
            night: whose weights hold.
            rng: of everything random.
        """
        pair, means = self.contexts(n, rng)
        logit = np.zeros(len(pair)) if policy is None else pair @ policy
        probability = softmax_with_floor(logit, self.candidates, self.floor)
        table = np.cumsum(probability.reshape(n, -1), axis=1)
        place = (rng.random((n, 1)) * table[:, -1:] >= table).sum(axis=1)
        shown = np.arange(n) * self.candidates + place
        seen = means[shown]
        observed = seen[:, :-1] + self.reward_noise * rng.standard_normal((n, self.objectives))
        star = self.north_star(seen, night) + self.noise * rng.standard_normal(n)
        user = np.arange(n) // self.decisions_a_user
        return WeighingLog(pair, probability, shown, user, observed, star)


def drawn_weighing(
    path: NorthStarPath, noise: float, rng: np.random.Generator, *, dimensions: int = 5
) -> WeighingWorld:
    """A world with drawn objectives, whose noise spreads from 0.05 to 3 standard deviations."""
    m = path.weights.shape[1]
    forms = rng.standard_normal((m + 1, dimensions, dimensions))
    forms /= np.linalg.norm(forms, axis=(1, 2), keepdims=True)
    waves = rng.standard_normal((m + 1, 2 * dimensions))
    reward_noise = rng.permutation(np.geomspace(0.05, 3.0, m))
    return WeighingWorld(forms, waves, reward_noise, noise, path)


def softmax_with_floor(logit: Floats, candidates: int, floor: float) -> Floats:
    """Probabilities (N,) of decisions with K candidates each, explored uniformly with ``floor``."""
    table = logit.reshape(-1, candidates)
    soft = np.exp(table - table.max(axis=1, keepdims=True))
    soft /= soft.sum(axis=1, keepdims=True)
    mixed: Floats = ((1 - floor) * soft + floor / candidates).reshape(-1)
    return mixed
