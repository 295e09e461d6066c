"""The contract of the sequential estimators' family."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mrlm.ope.contract import Properties
from mrlm.ope.scores import Scores
from mrlm.ope.sequential.batch import SessionBatch


@runtime_checkable
class SequentialEstimator(Protocol):
    """A pure function from logged sessions and a target policy to one score a session.

    Constants in the properties are constants a step of sessions of one length, worth their
    discounted sum; q and v are shifted by the part that is still to come.
    """

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        ...

    @property
    def discount(self) -> float:
        """Factor a step on later rewards, in (0, 1]."""
        ...

    @property
    def needs_q(self) -> bool:
        """Whether it needs predicted values of every candidate."""
        ...

    @property
    def assumption(self) -> str | None:
        """What must be true beyond true propensities and support; or None."""
        ...

    @property
    def properties(self) -> Properties:
        """What holds for it, under its assumption."""
        ...

    def __call__(self, batch: SessionBatch) -> Scores:
        """Scores of every session and objective.

        Raises:
            ValueError: it needs predictions and the batch has none.
        """
        ...
