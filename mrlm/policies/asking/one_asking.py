"""Models that several scorers read, computed together, and only what of them is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mrlm.policies.asking.with_scorers import scorers_of, with_scorers
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.features import UNCERTAINTY
from mrlm.policies.mixture import Mixture
from mrlm.policies.tuned import Tuned


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


def in_one_pass(policy: Policy) -> Policy:
    """The policy with the models that its scorers read computed together, whichever asks first.

    A tuned policy asks those of its anchors about the same decisions, one after the other. An
    uncertainty that has no weight is not computed.
    """
    return all_in_one_pass({"": policy}, None)[0][""]


def all_in_one_pass(
    policies: Mapping[str, Policy], expected: Scorer | None
) -> tuple[dict[str, Policy], Scorer | None]:
    """``in_one_pass`` of policies that are asked about the same decisions, by name.

    Args:
        policies: by name.
        expected: a scorer that is asked too, and whose uncertainty nobody reads.
    """
    asked: list[Scorer | None] = [s for p in policies.values() for s in scorers_of(p)]
    readers: list[Any] = [s for s in (*asked, expected) if isinstance(s, ReadsModel)]
    weighed = {at for p in policies.values() for at in _weighed(p)}
    replacing = _replacing({id(s.model): s.model for s in readers}, weighed)
    # A scorer that several policies share stays one, which keeps what it gave.
    reading: dict[int, Scorer] = {
        id(s): s.reading(replacing[id(s.model)]) for s in readers if id(s.model) in replacing
    }

    def of(scorer: Scorer) -> Scorer:
        return reading.get(id(scorer), scorer)

    found = {name: with_scorers(p, of) if reading else p for name, p in policies.items()}
    return found, None if expected is None else of(expected)


def _replacing(models: Mapping[int, Any], weighed: Iterable[int]) -> dict[int, Any]:
    """What is asked in place of a model, by its ``id``; those that stay are left out."""
    found = {
        at: m.expectation
        for at, m in models.items()
        if isinstance(m, HasExpectation) and at not in weighed
    }
    joining = {at: found.get(at, m) for at, m in models.items() if isinstance(m, JoinsOthers)}
    if len(joining) > 1:
        first, *_ = joining.values()
        found |= zip(joining, first.together(list(joining.values())), strict=True)
    return found


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
