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
# and the variance of one trial; those that explain the record best are taken.
_SETTING_LENGTHS = (0.4, 0.8, 1.6)
_CONDITION_LENGTHS = (0.7, 1.5, 3.0)
_NOISES = (0.03, 0.1, 0.3)
# Share of what a setting brings that it brings under all conditions.
_EVERYWHERE = 0.5
# Variance of what it brings on one night alone, beside the error of that night's score.
_OWN = 0.5
# Variance of a night's level, which its own setting decides and no other setting's rank.
_LEVEL = 4.0


def seeded_order(
    space: HyperparameterSpace,
    nights: Sequence[SearchedNight],
    conditions: Conditions,
    seed: int,
) -> list[Setting]:
    """All settings: in turn the likeliest by past nights and one at random.

    However past nights mislead, a setting comes at most twice as late as in the random order (a
    share drawn at random as in BOHB: Falkner et al., ICML 2018). Where they tell nothing, that is
    the order.

    Args:
        space: of the settings.
        nights: past searches.
        conditions: of tonight's log.
        seed: of the random order.
    """
    settings = space.settings()
    drawn = [settings[j] for j in np.random.default_rng(seed).permutation(len(settings))]
    model = SeedingModel.fitted(space, nights)
    if model is None:
        return drawn
    likeliest = np.argsort(-model.predicted(drawn, conditions), kind="stable")
    in_turn = zip((drawn[j] for j in likeliest), drawn, strict=True)
    return list(dict.fromkeys(itertools.chain.from_iterable(in_turn)))


@dataclass(frozen=True)
class SeedingModel:
    """A Gaussian process on settings and conditions.

    The covariance of two trials is a squared exponential of their settings, half of it times one of
    their conditions. Trials of a night share its level; what they bring on that night alone, and
    the errors of their scores, are as alike as their settings, because all were scored on the same
    decisions: taken as independent, they would outvote other nights (Rasmussen and Williams,
    Gaussian Processes for Machine Learning, 2006, 2.2; of several tasks: Swersky, Snoek and Adams,
    NeurIPS 2013).
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
        same = (places[:, None] == places).astype(np.float64)
        lengths, pull = _likeliest(coordinates, conditions, same, table[:, 0], table[:, 1])
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
    settings: Floats, conditions: Floats, same: Floats, difference: Floats, error: Floats
) -> tuple[tuple[float, float], Floats]:
    """Lengths of the largest marginal likelihood, and covariance^-1 differences with them.

    ``same`` is 1 for two trials of a night, else 0, shape (t, t).
    """
    best, found = -np.inf, ((1.0, 1.0), np.zeros(len(difference)))
    of_night = same * (_OWN + np.outer(error, error))
    for lengths in itertools.product(_SETTING_LENGTHS, _CONDITION_LENGTHS):
        smooth = _covariance(settings, settings, conditions, conditions, lengths)
        smooth += _alike(settings, settings, lengths[0]) * of_night + _LEVEL * same
        for noise in _NOISES:
            factor = cho_factor(smooth + noise * np.eye(len(difference)), lower=True)
            pull = cho_solve(factor, difference)
            likelihood = -0.5 * float(difference @ pull) - float(np.log(np.diag(factor[0])).sum())
            if likelihood > best:
                best, found = likelihood, (lengths, pull)
    return found


def _covariance(
    one: Floats, other: Floats, here: Floats, there: Floats, lengths: tuple[float, float]
) -> Floats:
    """Of what settings bring, ``one`` under conditions ``here`` and ``other`` under ``there``."""
    of_conditions = _EVERYWHERE + (1 - _EVERYWHERE) * _alike(here, there, lengths[1])
    return np.asarray(_alike(one, other, lengths[0]) * of_conditions)


def _alike(one: Floats, other: Floats, length: float) -> Floats:
    """Squared exponential of the distances of rows."""
    apart = ((one[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(np.exp(-0.5 * apart / length**2))
