"""Policies that are computed in single precision: for answers, never for evidence."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from mrlm.bandit_log import Decisions
from mrlm.policies.asking.with_scorers import with_scorers
from mrlm.policies.contract import Policy, Scorer

# A fifth of what a reproduction allows: among the many rows that are served some are several times
# as far off as the few that are tried.
MOST_APART = 2e-7
# Where no user is known to be asked: what is made up may be milder than what comes.
MOST_APART_UNSEEN = 1e-7


@runtime_checkable
class HasSingle(Protocol):
    """A scorer that can also be computed in single precision."""

    @property
    def in_single(self) -> Scorer:
        """The same in float32."""
        ...


def in_single(policy: Policy) -> Policy:
    """The policy with float32 inside the scorers that have it; scores and sums stay float64."""
    return with_scorers(policy, _scorer)


def quickest(policy: Policy, asked: Decisions, most_apart: float = MOST_APART) -> Policy:
    """``in_single`` where no probability of ``asked`` is ``most_apart`` off, else the policy.

    How far rounding reaches depends on how sharply the policy chooses, so it is tried and not
    assumed.
    """
    single = in_single(policy)
    exact, quick = (np.exp(p.log_probabilities(asked)) for p in (policy, single))
    # Not the other way round: what is no number is not near.
    return single if bool((np.abs(exact - quick) <= most_apart).all()) else policy


def _scorer(scorer: Scorer) -> Scorer:
    return scorer.in_single if isinstance(scorer, HasSingle) else scorer
