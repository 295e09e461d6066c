"""The scorers of a policy, inside what it anchors on and mixes too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.greedy import Greedy
from mrlm.policies.mixture import Mixture
from mrlm.policies.tuned import Tuned


def with_scorers(policy: Policy, of: Callable[[Scorer], Scorer]) -> Policy:
    """The policy with other scorers: ``of`` each of its own."""
    if isinstance(policy, Tuned):
        scorers = tuple(of(s) for s in policy.scorers)
        return replace(policy, anchor=with_scorers(policy.anchor, of), scorers=scorers)
    if isinstance(policy, Greedy):
        return replace(policy, scorer=of(policy.scorer))
    if isinstance(policy, Mixture):
        return replace(policy, policies=tuple(with_scorers(p, of) for p in policy.policies))
    return policy


def scorers_of(policy: Policy) -> list[Scorer]:
    """Its scorers, one as often as it is asked."""
    found: list[Scorer] = []

    def met(scorer: Scorer) -> Scorer:
        found.append(scorer)
        return scorer

    with_scorers(policy, met)
    return found
