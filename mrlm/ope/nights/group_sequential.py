"""Spending a bound on error over a stated number of nights: group sequential boundaries.

A challenger that gathers evidence night by night may be looked at after each, if the boundary that
its statistic has to pass is chosen for all looks together. With a horizon this costs less than
looks without end (``spending``), and the nights add up where fresh nights alone would not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.checks import check_between_0_and_1

Floats = NDArray[np.float64]

# A statistic is followed down to so many standard deviations below its mean.
_REACH = 9.0
# Points of a Gauss-Legendre rule for each standard deviation of a step; at least and at most.
_DENSITY, _LEAST, _MOST = 5, 64, 640
# Beyond this bound there is no mass that floating point can tell from none.
_HIGHEST, _LEAST_MASS = 50.0, 1e-300


def obrien_fleming(share: float, error: float) -> float:
    """Error spent by a share of the horizon: ``2 - 2 Phi(z_(error / 2) / sqrt(share))``.

    Hardly any at first, and at the end nearly the level of one look (Lan and DeMets, Biometrika
    1983, alpha_1).

    Raises:
        ValueError: the share or the error is not in (0, 1]; not in (0, 1).
    """
    _check(share, error)
    from scipy.special import ndtr, ndtri

    return float(2 * ndtr(ndtri(error / 2) / math.sqrt(share)))


def pocock(share: float, error: float) -> float:
    """Error spent by a share of the horizon: ``error log(1 + (e - 1) share)``.

    Nearly alike at every look (Lan and DeMets, Biometrika 1983, alpha_2).

    Raises:
        ValueError: the share or the error is not in (0, 1]; not in (0, 1).
    """
    _check(share, error)
    return error * math.log1p((math.e - 1) * share)


def power_family(share: float, error: float) -> float:
    """Error spent by a share of the horizon: ``error share^2``.

    Between the two above: little at first, and a large difference still passes early (Kim and
    DeMets, Biometrika 1987, with exponent 2).

    Raises:
        ValueError: the share or the error is not in (0, 1]; not in (0, 1).
    """
    _check(share, error)
    return error * share**2


def error_of_a_test(total: float, most: int, before: int, horizon: int = 365) -> float:
    """Error of the test that follows one of ``before`` nights, when ``total`` bounds a horizon's.

    ``total before / (horizon + most - 1)``: every night of a test earns the next one its share. Of
    the tests that begin within a horizon, the first follows one of at most ``most`` nights, and the
    others follow tests that took nights of that horizon, at most ``horizon - 1`` together. So the
    errors never sum to more than the total; and where each test's error holds given all nights
    before it began, the chance of any error in the horizon is at most the total, whatever ends a
    test.

    Args:
        total: bound on the error of all tests that begin within the horizon, in (0, 1).
        most: nights that a test may take.
        before: nights that the test before took; 1 for the first of all, and ``most`` where more.
        horizon: in nights.

    Raises:
        ValueError: the total is not in (0, 1), or a number of nights is below 1.
    """
    check_between_0_and_1("total error", total)
    if min(most, before, horizon) < 1:
        raise ValueError(
            f"nights and horizon must be 1 or more; got {most}, {before} and {horizon}"
        )
    return total * min(before, most) / (horizon + most - 1)


def boundaries(information: Sequence[float], spent: Sequence[float], drift: float = 0.0) -> Floats:
    """What the statistic must pass at each look, so that the error spent by then is as given.

    The statistic Z_k of look k is standard normal where there is no difference, and
    ``cov(Z_j, Z_k) = sqrt(information_j / information_k)`` for j < k: that of estimates whose
    information, one over the variance, adds up. The recursion over the distribution of
    ``Z_k sqrt(information_k)`` that has not passed yet is that of Armitage, McPherson and Rowe
    (1969), by Gauss-Legendre quadrature.

    Args:
        information: of each look, above 0 and rising, in any unit.
        spent: error spent by each look in all, in (0, 1), never falling.
        drift: of the statistic for each root of the information; 0: the hypothesis of no gain.

    Returns:
        One bound a look, float64, shape (looks,); infinite where nothing is left to spend.

    Raises:
        ValueError: the lengths differ, or a sequence is not as it must be.
    """
    _check_looks(information, spent)
    walk = _Walk(drift)
    bounds, before = [], 0.0
    for amount, total in zip(information, spent, strict=True):
        bounds.append(walk.bound_of(amount, total - before))
        walk.pass_by(amount, bounds[-1])
        before = total
    return np.array(bounds)


def passing(information: Sequence[float], bounds: Sequence[float], drift: float = 0.0) -> Floats:
    """Probability that each look is the first whose statistic passes its bound.

    Args:
        information: see ``boundaries``.
        bounds: one a look.
        drift: mean of the statistic for each root of the information: the true difference, where
            the information is one over the variance.

    Returns:
        float64, shape (looks,); one less their sum is the chance that none passes.

    Raises:
        ValueError: the lengths differ, or the information does not rise.
    """
    _check_looks(information, bounds, spending=False)
    walk, found = _Walk(drift), []
    for amount, bound in zip(information, bounds, strict=True):
        found.append(walk.beyond(amount, bound))
        walk.pass_by(amount, bound)
    return np.array(found)


class _Walk:
    """The score ``Z sqrt(information)`` of what has passed no bound: points and their mass."""

    def __init__(self, drift: float) -> None:
        self._drift = drift
        self._information = 0.0
        self._points: Floats = np.zeros(1)
        self._mass: Floats = np.ones(1)

    def beyond(self, information: float, bound: float) -> float:
        """Mass whose next score is above the bound on Z."""
        from scipy.special import ndtr

        step = information - self._information
        ahead = self._points + self._drift * step - bound * math.sqrt(information)
        return float(self._mass @ ndtr(ahead / math.sqrt(step)))

    def bound_of(self, information: float, error: float) -> float:
        """Bound on Z with this much mass beyond it."""
        from scipy.optimize import brentq

        if error < _LEAST_MASS:
            return math.inf
        low = -_REACH + min(0.0, self._drift * math.sqrt(information))
        if self.beyond(information, low) <= error:
            return low

        def excess(bound: float) -> float:
            # The logarithm of the mass is what is nearly straight.
            return math.log(max(self.beyond(information, bound), _LEAST_MASS) / error)

        return float(brentq(excess, low, _HIGHEST, xtol=1e-10))

    def pass_by(self, information: float, bound: float) -> None:
        """Go on to the look, with what is not above its bound."""
        root, step = math.sqrt(information), information - self._information
        middle = self._drift * information
        low, high = middle - _REACH * root, min(middle + _REACH * root, bound * root)
        if not high > low:
            self._points, self._mass = np.zeros(1), np.zeros(1)
            self._information = information
            return
        many = math.ceil(_DENSITY * (high - low) / math.sqrt(step))
        nodes, weights = _rule(min(max(many, _LEAST), _MOST))
        points = low + (high - low) * (nodes + 1) / 2
        apart = points[:, None] - (self._points + self._drift * step)
        kernel = np.exp(-(apart**2) / (2 * step)) / math.sqrt(2 * math.pi * step)
        self._mass = kernel @ self._mass * weights * (high - low) / 2
        self._points, self._information = points, information


@lru_cache(maxsize=64)
def _rule(many: int) -> tuple[Floats, Floats]:
    """Points in (-1, 1) and weights of the Gauss-Legendre rule."""
    nodes, weights = np.polynomial.legendre.leggauss(many)
    return nodes, weights


def _check(share: float, error: float) -> None:
    check_between_0_and_1("error", error)
    if not 0 < share <= 1:
        raise ValueError(f"the share of the horizon must be in (0, 1]; got {share}")


def _check_looks(
    information: Sequence[float], other: Sequence[float], spending: bool = True
) -> None:
    if len(information) != len(other) or not len(information):
        raise ValueError(
            f"one number a look is needed of each; got {len(information)} and {len(other)}"
        )
    if not (np.diff([0.0, *information]) > 0).all():
        raise ValueError(f"the information must be above 0 and rise; got {list(information)}")
    if spending and not ((np.diff([0.0, *other]) >= 0).all() and other[-1] < 1):
        raise ValueError(f"the error spent must not fall, nor reach 1; got {list(other)}")
