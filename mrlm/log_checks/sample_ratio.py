"""Sample ratio: do the arms of an experiment hold the shares of units that they should?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from mrlm.log_checks.tails import log_lower_tail, log_upper_tail

# Expected units below which chi-square is not to be trusted.
_SMALL = 10.0
FEWEST_NIGHTS = 3


@dataclass(frozen=True)
class SampleRatio:
    """Units of each arm beside what was expected.

    Attributes:
        observed: arm to its units.
        expected: arm to the number expected of all units together.
        chance: of a deviation like this or larger when the shares hold.
    """

    observed: dict[str, float]
    expected: dict[str, float]
    chance: float

    @property
    def worst(self) -> str:
        """The arm with the largest deviation in standard errors."""
        return max(
            self.expected,
            key=lambda a: abs(self.observed[a] - self.expected[a]) / (self.expected[a] + 1) ** 0.5,
        )


def against_shares(units: Mapping[str, float], shares: Mapping[str, float]) -> SampleRatio:
    """Test units against stated shares; arms that are not stated are left out.

    Chi-square (Fabijan et al., Diagnosing sample ratio mismatch, KDD 2019), and where an arm
    expects fewer than ten units, the exact binomial tails of all arms by Bonferroni.

    Args:
        units: arm to its users, or requests, whichever is randomised.
        shares: arm to its share, each above 0; taken over their sum.
    """
    arms = sorted(shares)
    observed = np.array([float(units.get(a, 0.0)) for a in arms])
    share = np.array([float(shares[a]) for a in arms])
    share /= share.sum()
    total = observed.sum()
    expected = total * share
    if len(arms) < 2 or total == 0:
        chance = 1.0
    elif expected.min() >= _SMALL:
        chance = float(chi2.sf(((observed - expected) ** 2 / expected).sum(), len(arms) - 1))
    else:
        trials, variance = np.full(len(arms), total), expected * (1 - share)
        tails = [
            tail(observed, expected, trials, variance) for tail in (log_upper_tail, log_lower_tail)
        ]
        chance = min(1.0, float(np.exp(np.minimum(*tails).min())) * 2 * len(arms))
    return SampleRatio(_named(arms, observed), _named(arms, expected), chance)


def against_nights(
    units: Mapping[str, float], trailing: Sequence[Mapping[str, float]]
) -> SampleRatio | None:
    """Test units against trailing nights, whose own variation is allowed for.

    The night's Pearson statistic by degree of freedom over the trailing nights' one, at least 1, as
    an F ratio: shares that move from night to night must move more than they did. None where fewer
    than three nights hold the same arms, or an arm expects fewer than ten units.
    """
    arms = sorted(units)
    same = [t for t in trailing if sorted(t) == arms]
    if len(arms) < 2 or len(same) < FEWEST_NIGHTS:
        return None
    table = np.array([[float(t[a]) for a in arms] for t in same])
    observed = np.array([float(units[a]) for a in arms])
    share = table.sum(axis=0) / table.sum()
    expected = observed.sum() * share
    usual = table.sum(axis=1, keepdims=True) * share
    if min(expected.min(), usual.min()) < _SMALL:
        return None
    freedom, usual_freedom = len(arms) - 1, (len(same) - 1) * (len(arms) - 1)
    spread = max(1.0, float(((table - usual) ** 2 / usual).sum()) / usual_freedom)
    # The shares are themselves estimated, from so many times the units of the night.
    inflation = 1 + observed.sum() / table.sum()
    ratio = float(((observed - expected) ** 2 / expected).sum()) / freedom / spread / inflation
    chance = float(f_distribution.sf(ratio, freedom, usual_freedom))
    return SampleRatio(_named(arms, observed), _named(arms, expected), chance)


def _named(arms: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return {a: float(v) for a, v in zip(arms, values, strict=True)}
