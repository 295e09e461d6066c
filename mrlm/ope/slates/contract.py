"""The contract of the slate estimators' family."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mrlm.ope.contract import Properties
from mrlm.ope.scores import Scores
from mrlm.ope.slates.batch import SlateBatch


@runtime_checkable
class SlateEstimator(Protocol):
    """A pure function from logged slates and a target policy to one score a slate.

    Each declared property holds where the estimator's assumption holds; where it does not, the
    estimate is biased, so ``covers_policy_value`` is False unless there is no assumption or the
    caller vouches for it. Constants in the properties are constants a slot of slates of one length.
    """

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of propensity it can use, the one to log first."""
        ...

    @property
    def needs_q(self) -> bool:
        """Whether it needs predicted values q and v."""
        ...

    @property
    def assumption(self) -> str | None:
        """What must be true of users or logger beyond true propensities and support; or None."""
        ...

    @property
    def properties(self) -> Properties:
        """What holds for it under its assumption."""
        ...

    def __call__(self, batch: SlateBatch) -> Scores:
        """Scores of every slate and objective.

        Raises:
            ValueError: the propensities are of another kind, or predictions are missing.
        """
        ...
