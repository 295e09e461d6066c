"""A drawn world whose log is biased twice, by where items stand and by who is shown what."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions
from mrlm.worlds.latent import LIKE, drawn_latent, latent_log
from mrlm.worlds.logger import SoftmaxLogger, draw

Floats = NDArray[np.float64]
OFFERED, POSITIONS = 8, 4
_PER_USER, _FIT_NIGHTS = 36, 4
# How sharply the logger chooses at the top and at the last position, in deviations of its score.
_TOP, _LAST = 1.2, 0.2


@dataclass(frozen=True)
class BiasedWorld:
    """A log to learn from, and later decisions whose items were shown uniformly at the top.

    Attributes:
        fit: of the first nights, by the biased logger.
        later: the nights after, as the biased logger left the histories, at the top.
        asked_below: the same decisions at the positions that their slots have.
        shown: int64, shape (n,), flat position of the item that was shown uniformly.
        label: whether it was liked, shape (n,).
        truth: float64, shape (N,), chance that each candidate is liked where it is looked at.
    """

    fit: BanditLog
    later: Decisions
    asked_below: Decisions
    shown: NDArray[np.int64]
    label: NDArray[np.float64]
    truth: Floats


def biased_world(seed: int, users: int, *, confounded: bool, placed: bool) -> BiasedWorld:
    """Draw it.

    Items of a request's top are chosen more sharply than those below, so what the logger likes is
    looked at more. A click is a like of what was looked at; a rating of anything else is unknown.

    Args:
        seed: of users, candidates, choices and ratings.
        users: how many.
        confounded: whether the logger chooses by the very rating that its user would give, which
            no model reads; else by popularity, which is an attribute.
        placed: whether items below the top may be overlooked.
    """
    log, truth = latent_log(users, _PER_USER, OFFERED, seed)
    model, rng = drawn_latent(), np.random.default_rng([seed, 1])
    n, decisions = len(log), log.decisions
    expected = truth[:, 1].reshape(n, OFFERED)
    score = expected if confounded else np.log(_popularity(decisions)).reshape(n, OFFERED)
    position = rng.integers(1, POSITIONS + 1, n)
    sharp = np.interp(position, [1, POSITIONS], [_TOP, _LAST])[:, None]
    propensity = SoftmaxLogger().probabilities(
        np.exp(sharp * (score - score.mean()) / score.std()), np.ones_like(score, np.bool_)
    )
    action, row = draw(propensity, rng.random(n)), np.arange(n)
    rating = expected[row, action] + model.noise * rng.normal(size=n)
    # A slot at position p is looked at with probability 1 / p.
    looked = rng.random(n) < 1 / position if placed else np.ones(n, np.bool_)
    click, told = (rating >= LIKE) & looked, np.where(looked, rating, np.nan)
    by_user = np.argsort(decisions.user.astype(str), kind="stable")
    shown = decisions.candidates.values.reshape(n, OFFERED)[row, action]
    histories = replace(
        decisions.histories,
        item=shown[by_user],
        rewards=np.stack([told, click], axis=1)[by_user].astype(np.float32),
    )
    whole = replace(
        log,
        decisions=replace(decisions, position=position.astype(np.int32), histories=histories),
        action=action,
        propensity=propensity[row, action],
        candidate_propensity=propensity.ravel(),
        rewards=np.stack([click.astype(np.float64), told], axis=1),
    )
    nights = sorted(set(log.night.astype(str)))
    last = np.flatnonzero(np.isin(log.night.astype(str), nights[_FIT_NIGHTS:]))
    below = whole.take(last).decisions
    uniform = np.arange(len(last)) * OFFERED + rng.integers(0, OFFERED, len(last))
    liked = truth[:, 0].reshape(n, OFFERED)[last].ravel()
    return BiasedWorld(
        fit=whole.on_nights(nights[:_FIT_NIGHTS]),
        later=replace(below, position=np.ones(len(last), np.int32)),
        asked_below=below,
        shown=uniform,
        label=(rng.random(len(last)) < liked[uniform]).astype(np.float64),
        truth=liked,
    )


def without_position(log: BanditLog) -> BanditLog:
    """The log of a system that does not say where items stood."""
    top = np.ones(len(log), np.int32)
    return replace(log, decisions=replace(log.decisions, position=top))


def _popularity(decisions: Decisions) -> Floats:
    return np.asarray(decisions.catalog.attributes["popularity"][decisions.candidates.values])
