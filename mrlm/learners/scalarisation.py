"""The one number that learners maximise: weights times standardised objectives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions, Objective
from mrlm.bandit_log.known_rewards import known_rewards


@dataclass(frozen=True)
class Scalarisation:
    """Sum over objectives of weight · (reward - mean) / scale; a scalar exists only in here.

    Attributes:
        objectives: those with rewards, in the order of the log.
        weight: float64, one an objective, absolute values sum to 1.
        mean: of the logged rewards.
        scale: their standard deviation, or 1 where it is 0.
    """

    objectives: tuple[Objective, ...]
    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def at(self, weights: Mapping[str, float]) -> Scalarisation:
        """The same means and scales at other weights.

        Raises:
            ValueError: a weight names no objective or is not finite, or none differs from 0.
        """
        return replace(self, weight=_shares(self.objectives, weights))

    @property
    def known(self) -> tuple[Objective, ...]:
        """The objectives that are known exactly for every candidate."""
        return tuple(o for o in self.objectives if o.source != "feedback")

    def standardise(self, rewards: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted and standardised rewards, shape as given, (rows, objectives)."""
        return self.weight * (rewards - self.mean) / self.scale

    def candidate_rewards(
        self, decisions: Decisions, heads: Mapping[str, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Expected reward vector of every candidate, float64, shape (N, objectives).

        Item and list objectives are exact; ``heads`` gives the feedback objectives, (N,) each.
        """
        columns = [
            heads[o.name] if o.source == "feedback" else known_rewards(decisions, o)
            for o in self.objectives
        ]
        return np.stack(columns, axis=1)


def fit_scalarisation(log: BanditLog, weights: Mapping[str, float]) -> Scalarisation:
    """Take means and scales from the log's known, final rewards.

    Raises:
        ValueError: a weight names no objective or is not finite, or none differs from 0.
    """
    weight = _shares(log.objectives, weights)
    rewards = known_outcomes(log)
    mean, scale = np.zeros(len(weight)), np.ones(len(weight))
    for j in range(len(weight)):
        known = rewards[np.isfinite(rewards[:, j]), j]
        if len(known):
            mean[j], scale[j] = known.mean(), known.std() or 1.0
    return Scalarisation(log.objectives, weight, mean, scale)


def known_outcomes(log: BanditLog) -> NDArray[np.float64]:
    """The log's rewards, NaN where a later event may still change them, shape (n, objectives)."""
    return np.where(log.final, log.rewards, np.nan)


def _shares(objectives: tuple[Objective, ...], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Weights in the order of the objectives, absolute values summing to 1."""
    names = [o.name for o in objectives]
    unknown = sorted(set(weights) - set(names))
    if unknown:
        raise ValueError(f"weights name {unknown}, which are none of the objectives {names}")
    weight = np.array([float(weights.get(n, 0.0)) for n in names])
    if not np.isfinite(weight).all() or not weight.any():
        raise ValueError(f"weights must be finite and not all 0: {dict(weights)}")
    return np.asarray(weight / np.abs(weight).sum(), np.float64)
