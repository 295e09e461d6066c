"""Policies that are computed in single precision: for answers, never for evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mrlm.bandit_log import Decisions
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.features import UNCERTAINTY
from mrlm.policies.greedy import Greedy
from mrlm.policies.mixture import Mixture
from mrlm.policies.tuned import Tuned

# Half of what a reproduction allows: rows that were not asked may be farther off than those.
MOST_APART = 5e-7
# Where no user is known to be asked: what is made up may be milder than what comes.
MOST_APART_UNSEEN = 1e-7


@runtime_checkable
class HasSingle(Protocol):
    """A scorer that can also be computed in single precision."""

    @property
    def in_single(self) -> Scorer:
        """The same in float32."""
        ...


@runtime_checkable
class JoinsOthers(Protocol):
    """A model that can be computed with others of its kind."""

    def together(self, models: Sequence[Any]) -> Sequence[Any]:
        """The same models, some of which are computed in one pass when one of them is asked."""
        ...


@runtime_checkable
class HasExpectation(Protocol):
    """A model that can leave its uncertainty out."""

    @property
    def expectation(self) -> Any:
        """The same with an uncertainty of 0."""
        ...


@runtime_checkable
class ReadsModel(Protocol):
    """A scorer that is a model, or reads one."""

    @property
    def model(self) -> Any:
        """Which model."""
        ...

    def reading(self, model: Any) -> Scorer:
        """The same by another model."""
        ...


def in_single(policy: Policy) -> Policy:
    """The policy with float32 inside the scorers that have it; scores and sums stay float64."""
    return _with_scorers(policy, _scorer)


def _with_scorers(policy: Policy, of: Callable[[Scorer], Scorer]) -> Policy:
    """The policy with other scorers, inside what it anchors on and mixes too."""
    if isinstance(policy, Tuned):
        scorers = tuple(of(s) for s in policy.scorers)
        return replace(policy, anchor=_with_scorers(policy.anchor, of), scorers=scorers)
    if isinstance(policy, Greedy):
        return replace(policy, scorer=of(policy.scorer))
    if isinstance(policy, Mixture):
        return replace(policy, policies=tuple(_with_scorers(p, of) for p in policy.policies))
    return policy


def _scorers(policy: Policy) -> list[Scorer]:
    found: list[Scorer] = []

    def met(scorer: Scorer) -> Scorer:
        found.append(scorer)
        return scorer

    _with_scorers(policy, met)
    return found


def in_one_pass(policy: Policy) -> Policy:
    """The policy with the models that its scorers read computed together, whichever asks first.

    A tuned policy asks those of its anchors about the same decisions, one after the other. An
    uncertainty that has no weight is not computed.
    """
    readers = [s for s in _scorers(policy) if isinstance(s, ReadsModel)]
    models, weighed = {id(s.model): s.model for s in readers}, _weighed(policy)
    asked = {
        at: m.expectation
        for at, m in models.items()
        if isinstance(m, HasExpectation) and at not in weighed
    }
    joining = {at: asked.get(at, m) for at, m in models.items() if isinstance(m, JoinsOthers)}
    if len(joining) > 1:
        first, *_ = joining.values()
        asked |= zip(joining, first.together(list(joining.values())), strict=True)
    if not asked:
        return policy
    # A scorer that several policies share stays one, which keeps what it gave.
    reading = {id(s): s.reading(asked[id(s.model)]) for s in readers if id(s.model) in asked}
    return _with_scorers(policy, lambda scorer: reading.get(id(scorer), scorer))


def _weighed(policy: Policy) -> set[int]:
    """Models whose uncertainty has a weight, by ``id``."""
    if isinstance(policy, Mixture):
        return {at for p in policy.policies for at in _weighed(p)}
    if not isinstance(policy, Tuned):
        return set()
    has_weight = np.any([policy.theta, *(s.theta for s in policy.scenes)], axis=0)
    scorers = [s for s in policy.scorers for _ in s.columns]
    own = {
        id(scorer.model)
        for scorer, column, has in zip(scorers, policy.columns, has_weight, strict=False)
        if has and column == UNCERTAINTY and isinstance(scorer, ReadsModel)
    }
    return own | _weighed(policy.anchor)


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
