"""A small model of which setting suits which conditions, learnt from past nights."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from mrlm.meta.hyperparameters.hyperparameter_record import SearchedNight
from mrlm.meta.hyperparameters.hyperparameter_space import HyperparameterSpace, Setting
from mrlm.meta.hyperparameters.night_conditions import Conditions

Floats = NDArray[np.float64]
# Lengths over which settings (in the unit cube) and conditions (in standard deviations) are alike,
# and the variance of a trial beside its own error; those that explain the record best are taken.
_SETTING_LENGTHS = (0.4, 0.8, 1.6)
_CONDITION_LENGTHS = (0.7, 1.5, 3.0)
_NOISES = (0.03, 0.1, 0.3, 1.0)
# Share of what a setting brings that it brings under all conditions.
_EVERYWHERE = 0.5
# Variance of a night's level, which its own setting decides and no other setting's rank.
_LEVEL = 4.0


def seeded_order(
    space: HyperparameterSpace,
    nights: Sequence[SearchedNight],
    conditions: Conditions,
    seed: int,
) -> list[Setting]:
    """All settings, the one that past nights make likeliest first; random where they tell nothing.

    Args:
        space: of the settings.
        nights: past searches.
        conditions: of tonight's log.
        seed: of the random order, which also decides between settings of equal promise.
    """
    settings = space.settings()
    drawn = [settings[j] for j in np.random.default_rng(seed).permutation(len(settings))]
    model = SeedingModel.fitted(space, nights)
    if model is None:
        return drawn
    promise = model.predicted(drawn, conditions)
    return [drawn[j] for j in np.argsort(-promise, kind="stable")]


@dataclass(frozen=True)
class SeedingModel:
    """A Gaussian process on settings and conditions.

    The covariance of two trials is a squared exponential of their settings, half of it times one of
    their conditions; trials of a night share its level (Rasmussen and Williams, Gaussian Processes
    for Machine Learning, 2006, 2.2; of several tasks: Swersky, Snoek and Adams, NeurIPS 2013).
    Differences are in standard deviations of their night, so that neither units nor the size of a
    tenant's rewards matter.

    Attributes:
        space: of the settings.
        settings: float64, shape (t, names), coordinates of the record's trials.
        conditions: float64, shape (t, 3), standardised.
        centre: of the conditions' coordinates, shape (3,).
        spread: their standard deviations, shape (3,).
        lengths: of settings and of conditions.
        pull: float64, shape (t,), covariance^-1 differences.
    """

    space: HyperparameterSpace
    settings: Floats
    conditions: Floats
    centre: Floats
    spread: Floats
    lengths: tuple[float, float]
    pull: Floats

    @classmethod
    def fitted(
        cls, space: HyperparameterSpace, nights: Sequence[SearchedNight]
    ) -> SeedingModel | None:
        """Of the trials in this space; None where no night has two that differ."""
        settings: list[Setting] = []
        night: list[int] = []
        told: list[Floats] = []
        of_nights: list[Floats] = []
        for searched in nights:
            known = [(space.known(t.setting), t) for t in searched.trials]
            trials = [(s, t) for s, t in known if s is not None]
            scale = float(np.std([t.difference for _, t in trials])) if trials else 0.0
            if scale == 0:
                continue
            settings += [s for s, _ in trials]
            night += [len(of_nights)] * len(trials)
            told += [np.array([t.difference, t.standard_error]) / scale for _, t in trials]
            of_nights.append(searched.conditions.coordinates())
        if not told:
            return None
        centre, spread = np.mean(of_nights, axis=0), np.std(of_nights, axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        places, table = np.array(night), np.array(told)
        conditions = ((np.array(of_nights) - centre) / spread)[places]
        coordinates = space.coordinates(settings)
        level = _LEVEL * (places[:, None] == places)
        lengths, pull = _likeliest(coordinates, conditions, level, table[:, 0], table[:, 1])
        return cls(space, coordinates, conditions, centre, spread, lengths, pull)

    def predicted(self, settings: Sequence[Setting], conditions: Conditions) -> Floats:
        """Expected difference of each setting, in standard deviations of a night, up to a level."""
        here = (conditions.coordinates() - self.centre) / self.spread
        of = np.broadcast_to(here, (len(settings), len(here)))
        covariance = _covariance(
            self.space.coordinates(settings), self.settings, of, self.conditions, self.lengths
        )
        return np.asarray(covariance @ self.pull, np.float64)


def _likeliest(
    settings: Floats, conditions: Floats, level: Floats, difference: Floats, error: Floats
) -> tuple[tuple[float, float], Floats]:
    """Lengths of the largest marginal likelihood, and covariance^-1 differences with them."""
    best, found = -np.inf, ((1.0, 1.0), np.zeros(len(difference)))
    for lengths in itertools.product(_SETTING_LENGTHS, _CONDITION_LENGTHS):
        smooth = _covariance(settings, settings, conditions, conditions, lengths) + level
        for noise in _NOISES:
            factor = cho_factor(smooth + np.diag(noise + error**2), lower=True)
            pull = cho_solve(factor, difference)
            likelihood = -0.5 * float(difference @ pull) - float(np.log(np.diag(factor[0])).sum())
            if likelihood > best:
                best, found = likelihood, (lengths, pull)
    return found


def _covariance(
    one: Floats, other: Floats, here: Floats, there: Floats, lengths: tuple[float, float]
) -> Floats:
    """Of settings ``one`` under conditions ``here`` and ``other`` under ``there``."""
    of_settings, of_conditions = (
        np.exp(-0.5 * ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2) / length**2)
        for (a, b), length in zip(((one, other), (here, there)), lengths, strict=True)
    )
    return np.asarray(of_settings * (_EVERYWHERE + (1 - _EVERYWHERE) * of_conditions))
