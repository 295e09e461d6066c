"""The model-based world: users and films as latent vectors, so a log can have any size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Objective, Ragged
from mrlm.bandit_log.histories import NO_REQUEST, OPEN, Histories
from mrlm.worlds.logger import SoftmaxLogger, draw
from mrlm.worlds.ratings import CompleteRatings, film_catalog

GENRES = ("Action", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Romance", "Sci-Fi")
LIKE = 3.5
LATENT_OBJECTIVES = (
    Objective(
        name="like",
        source="feedback",
        role="north_star",
        event="rating",
        transform="at_least",
        threshold=LIKE,
        missing=None,
    ),
    Objective(name="rating", source="feedback", unit="stars", event="rating", missing=None),
)


@dataclass(frozen=True)
class LatentModel:
    """rating(u, i) = mean + item_bias[i] + user . (1, item_factor[i]) + noise * normal.

    Attributes:
        catalog: i films.
        mean: stars.
        item_bias: float64, shape (i,).
        item_factor: float64, shape (i, d).
        user_mean: float64, shape (d + 1,): bias, then factors.
        user_covariance: float64, shape (d + 1, d + 1).
        noise: standard deviation, stars.
    """

    catalog: Catalog
    mean: float
    item_bias: NDArray[np.float64]
    item_factor: NDArray[np.float64]
    user_mean: NDArray[np.float64]
    user_covariance: NDArray[np.float64]
    noise: float

    def draw_users(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Vectors of n new users, float64, shape (n, d + 1)."""
        return rng.multivariate_normal(self.user_mean, self.user_covariance, n, method="cholesky")

    def expected(self, users: NDArray[np.float64], items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Expected rating of each row's films, float64; users (n, d + 1), items (n, k)."""
        taste = np.einsum("nd,nkd->nk", users[:, 1:], self.item_factor[items])
        return np.asarray(self.mean + self.item_bias[items] + users[:, :1] + taste, np.float64)


@lru_cache(maxsize=4)
def drawn_latent(items: int = 400, dimensions: int = 6, seed: int = 0) -> LatentModel:
    """A latent model without any data set: everything is drawn, titles are numbers."""
    rng = np.random.default_rng(seed)
    names = np.array([f"m{i:06d}" for i in range(items)], object)
    genres = [sorted(rng.permutation(GENRES)[: 1 + i % 3].tolist()) for i in range(items)]
    popularity = np.ceil(300 * rng.random(items) ** 3)
    year = rng.integers(1950, 2017, items).astype(np.float64)
    catalog = film_catalog(names, [f"Film {i}" for i in range(items)], year, genres, popularity)
    # Popular films are a little better and genres share taste, as in real ratings.
    taste = rng.normal(size=(len(GENRES), dimensions))
    kind = np.stack([np.mean([taste[GENRES.index(g)] for g in own], axis=0) for own in genres])
    factor = (kind + 0.7 * rng.normal(size=(items, dimensions))) * 0.5
    bias = 0.3 * rng.normal(size=items) + 0.1 * (np.log(popularity) - np.log(popularity).mean())
    spread = np.diag(np.array([0.4, *[0.45] * dimensions]) ** 2)
    return LatentModel(catalog, 3.4, bias, factor, np.zeros(dimensions + 1), spread, 0.8)


def latent_ratings(
    model: LatentModel, *, users: int, ratings_per_user: int, seed: int
) -> CompleteRatings:
    """Complete ratings of new users, in half stars, for the replay.

    Each user rates films drawn without replacement in proportion to the root of their popularity.

    Raises:
        ValueError: there are fewer films than ratings of one user.
    """
    items = len(model.catalog)
    if ratings_per_user > items:
        raise ValueError(f"{ratings_per_user} ratings a user, but the world has {items} films")
    rng = np.random.default_rng(seed)
    vectors = model.draw_users(users, rng)
    appeal = 0.5 * np.log(model.catalog.attributes["popularity"])
    item = np.empty((users, ratings_per_user), np.int32)
    rating = np.empty((users, ratings_per_user))
    for start in range(0, users, 256):
        block = slice(start, min(start + 256, users))
        # The largest of logits plus Gumbel noise are a draw without replacement.
        keys = appeal + rng.gumbel(size=(block.stop - start, items))
        item[block] = np.argsort(-keys, axis=1)[:, :ratings_per_user]
        stars = model.expected(vectors[block], item[block].astype(np.int64))
        stars += model.noise * rng.normal(size=stars.shape)
        rating[block] = np.clip(np.round(stars * 2) / 2, 0.5, 5.0)
    return CompleteRatings.build(
        user_id=np.array([f"u{u:06d}" for u in range(users)], object),
        offsets=np.arange(users + 1, dtype=np.int64) * ratings_per_user,
        item=item.ravel(),
        rating=rating.ravel(),
        catalog=model.catalog,
    )


def latent_log(
    n_users: int,
    decisions_per_user: int,
    n_candidates: int,
    seed: int,
    *,
    model: LatentModel | None = None,
    logger: SoftmaxLogger | None = None,
    nights: int = 6,
    first_night: str = "2026-11-09",
) -> tuple[BanditLog, NDArray[np.float64]]:
    """A log in memory and the expected reward of every candidate, float64, shape (N, 2).

    Each decision offers ``n_candidates`` films drawn anew, in one slot. The objectives are ``like``
    (binary) and ``rating`` (graded, real-valued, so that its expectation is exact). Rows are
    sorted by (ts, decision_id); the catalogue carries the films' factors as embedding.

    Raises:
        ValueError: more than a quarter of the films would be on offer at once.

    Examples:
        >>> from mrlm import latent_log
        >>> log, truth = latent_log(n_users=200, decisions_per_user=10, n_candidates=8, seed=1)
        >>> len(log), truth.shape, [o.name for o in log.objectives]
        (2000, (16000, 2), ['like', 'rating'])
    """
    model = model or drawn_latent()
    logger = logger or SoftmaxLogger()
    rng = np.random.default_rng(seed)
    n = n_users * decisions_per_user
    items = len(model.catalog)
    if not 1 <= n_candidates <= items // 4:
        raise ValueError(f"n_candidates {n_candidates}: give 1 to {items // 4} of {items} films")
    # Time goes by decision and then user, so rows are sorted by ts as they are made.
    step, user = np.divmod(np.arange(n), n_users)
    vectors = model.draw_users(n_users, rng)
    offered = _distinct(n, n_candidates, items, rng)
    expected = model.expected(vectors[user], offered)
    weights = logger.weights(model.catalog)[offered]
    propensity = logger.probabilities(weights, np.ones_like(offered, np.bool_))
    action = draw(propensity, rng.random(n))
    row = np.arange(n)
    rating = expected[row, action] + model.noise * rng.normal(size=n)
    truth = np.stack([ndtr((expected - LIKE) / model.noise), expected], axis=-1).reshape(-1, 2)
    night = step * nights // decisions_per_user
    first_step = -(-night * decisions_per_user // nights)
    many = -(-decisions_per_user // nights)
    second = (step - first_step) * (80_000 // many) + user * (80_000 // many) // n_users
    midnight = np.datetime64(first_night, "D") + night
    ts = midnight.astype("datetime64[us]") + second.astype("timedelta64[s]")
    # By user and then step, as histories lie; rows go by step and then user.
    by_user = np.argsort(user, kind="stable")
    first = user * decisions_per_user
    decisions = Decisions(
        catalog=model.catalog.with_embedding(
            np.column_stack([model.item_factor, model.item_bias]).astype(np.float32)
        ),
        user=np.array([f"u{u:06d}" for u in range(n_users)], object)[user],
        scene=np.full(n, "home", object),
        position=np.ones(n, np.int32),
        ts=ts,
        candidates=Ragged(
            np.arange(n + 1, dtype=np.int64) * n_candidates, offered.ravel().astype(np.int32)
        ),
        histories=Histories(
            item=offered[row, action][by_user].astype(np.int32),
            shown=ts[by_user],
            known_from=ts[by_user],
            known_until=np.full(n, OPEN),
            request=np.full(n, NO_REQUEST, np.int64),
            objectives=("rating", "like"),
            rewards=np.stack([rating, rating >= LIKE], axis=1)[by_user].astype(np.float32),
        ),
        since=first,
        until=first + step,
        request=np.arange(n),
        above=Ragged(np.zeros(n + 1, np.int64), np.zeros(0, np.int32)),
    )
    log = BanditLog(
        decisions=decisions,
        decision_id=np.array([f"r{i:08d}#1" for i in range(n)], object),
        night=midnight,
        session=np.array([f"s{u}-{k}" for u, k in zip(user, night, strict=True)], object),
        session_step=(step - first_step).astype(np.int32),
        action=action,
        propensity=propensity[row, action],
        candidate_propensity=propensity.ravel(),
        policy_id=np.full(n, logger.policy_id, object),
        objectives=LATENT_OBJECTIVES,
        rewards=np.stack([(rating >= LIKE).astype(np.float64), rating], axis=1),
        final=np.ones((n, 2), np.bool_),
        unknown=np.zeros((n, 2), np.bool_),
        lost=np.zeros((n, 2), np.int64),
    )
    return log, truth


def _distinct(n: int, k: int, items: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of k distinct numbers below ``items``, sorted, int64, shape (n, k)."""
    out = np.sort(rng.integers(0, items, (n, k)), axis=1)
    while len(again := np.flatnonzero((out[:, 1:] == out[:, :-1]).any(axis=1))):
        out[again] = np.sort(rng.integers(0, items, (len(again), k)), axis=1)
    return out
