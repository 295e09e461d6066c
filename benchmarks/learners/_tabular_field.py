"""Tabular models as what learners read: every pair of a state and an action is an item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import segment_sum
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.inputs import LearningInputs, LearningSample
from mrlm.learners.scalarisation import Scalarisation
from mrlm.learners.sequential.experience import Experience
from mrlm.learners.sequential.transitions import Transitions, transitions
from mrlm.worlds.tabular import TabularLog, TabularModel, chain, garnet, grid, tabular_log, uniform

Floats = NDArray[np.float64]
DISCOUNT, MANY = 0.9, 500


@dataclass(frozen=True)
class World:
    """A model, the weights of its objectives, and the policy that logs it.

    Attributes:
        model: of P pairs and m objectives.
        weights: float64, shape (m,), absolute values sum to 1.
        logger: float64, shape (P,).
    """

    model: TabularModel
    weights: Floats
    logger: Floats

    def log(self, users: int, seed: int) -> TabularLog:
        """500 decisions a user."""
        return tabular_log(self.model, self.logger, users=users, rounds=MANY, seed=seed)


def named(random: int) -> Mapping[str, World]:
    """Chain, grid and so many random models, all with ragged sets."""
    worlds = {
        "chain": World(chain(), np.ones(1), uniform(chain())),
        "grid": World(grid(), np.array([0.9, 0.1]), uniform(grid())),
    }
    return worlds | {f"random {seed}": drawn(seed) for seed in range(random)}


def drawn(seed: int) -> World:
    """A random model; its logger has preferences, and shows every action often enough."""
    model = garnet(seed)
    likes = np.exp(np.random.default_rng([seed, 1]).normal(size=len(model.action)))
    preferred = likes / segment_sum(likes, model.offsets)[model.state]
    return World(model, np.full(4, 0.25), 0.5 * preferred + 0.5 * uniform(model))


def features_of(
    pair: NDArray[np.int64], offsets: NDArray[np.int64], model: TabularModel
) -> PairFeatures:
    """One-hot of the pair, as an item's vector; nothing is known of users or expected rewards."""
    pairs, m = model.reward.shape
    n = len(offsets) - 1
    return PairFeatures(
        dense=np.zeros((len(pair), m + 1), np.float32),
        item=pair,
        row=np.repeat(np.arange(n), np.diff(offsets)),
        item_vectors=np.eye(pairs, dtype=np.float32),
        user_vectors=np.zeros((n, pairs), np.float32),
    )


def sample_of(world: World, drawn_log: TabularLog) -> LearningSample:
    """The log as learners are given it, rewards in the model's own scale."""
    log, m = drawn_log.log, len(world.weights)
    of = Scalarisation(log.objectives, world.weights, np.zeros(m), np.ones(m))
    inputs = LearningInputs(
        features=features_of(drawn_log.pair, log.decisions.offsets, world.model),
        value=np.zeros(len(drawn_log.pair)),
        residual=log.rewards @ world.weights,
    )
    # There is no reward model: what it would say is in the inputs.
    return LearningSample(log, None, of, inputs)  # type: ignore[arg-type]


def scores_of(network: object, model: TabularModel, outputs: int = 1) -> Floats:
    """Outputs of a network for every pair, float64, shape (P, outputs)."""
    own = features_of(np.arange(len(model.action)), model.offsets, model)
    return evaluate(network, own, outputs)


def counted(world: World, drawn_log: TabularLog) -> TabularModel:
    """The model that the log's own frequencies and means make: what can be known at all."""
    model, log = world.model, drawn_log.log
    shown, steps = drawn_log.pair[log.shown], transitions(log, 30)
    pairs, states = model.transition.shape
    going = steps.following >= 0
    moved = np.zeros((pairs, states))
    np.add.at(moved, (shown[going], model.state[shown][steps.following[going]]), 1.0)
    known = np.bincount(shown[~steps.truncated], minlength=pairs)
    sums = np.zeros_like(model.reward)
    np.add.at(sums, shown, log.rewards)
    seen = np.bincount(shown, minlength=pairs)
    return TabularModel(
        offsets=model.offsets,
        action=model.action,
        transition=moved / np.maximum(known, 1)[:, None],
        reward=sums / np.maximum(seen, 1)[:, None],
        noise=model.noise,
        start=model.start,
    )


def exact_experience(model: TabularModel, parts: int) -> tuple[Experience, Floats, TabularModel]:
    """Rows whose frequencies are the model's very chances, and rewards without noise.

    Chances are rounded to multiples of 1 / ``parts``, so it comes with the model that has these.
    Each pair is in so many rows, each of which leads to a row of its next state; those rows are
    truncated and teach nothing.

    Returns:
        The rows, the rewards of their shown items, shape (n, m), and the rounded model.
    """
    chance = _rounded(model.transition, parts)
    pairs, states = chance.shape
    rounded = TabularModel(
        offsets=model.offsets,
        action=model.action,
        transition=chance / parts,
        reward=model.reward,
        noise=np.zeros_like(model.noise),
        start=model.start,
    )
    ending = parts - chance.sum(1)
    full = np.column_stack([chance, ending])
    pair = np.repeat(np.arange(pairs), parts)
    after = np.concatenate([np.repeat(np.arange(states + 1), row) for row in full])
    n = len(pair)
    state = np.concatenate([model.state[pair], np.arange(states)])
    lengths = np.diff(model.offsets)[state]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    every = np.concatenate([np.arange(model.offsets[s], model.offsets[s + 1]) for s in state])
    action = np.concatenate([pair - model.offsets[model.state[pair]], np.zeros(states, np.int64)])
    following = np.concatenate([np.where(after < states, n + after, -1), np.full(states, -1)])
    truncated = np.arange(n + states) >= n
    reward = np.concatenate([model.reward[pair], np.zeros((states, model.reward.shape[1]))])
    seen = Experience.of(
        features_of(every, offsets, model),
        offsets,
        action,
        reward.sum(1),
        Transitions(following, (following < 0) & ~truncated, truncated),
    )
    return seen, reward, rounded


def _rounded(transition: Floats, parts: int) -> NDArray[np.int64]:
    """Whole numbers of ``parts`` with sums that keep the chance of ending to one part."""
    down = np.floor(transition * parts).astype(np.int64)
    missing = np.round(transition.sum(1) * parts).astype(np.int64) - down.sum(1)
    rest = np.argsort(-(transition * parts - down), axis=1)
    for row, more in enumerate(missing):
        down[row, rest[row, :more]] += 1
    return down
