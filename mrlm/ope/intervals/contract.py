"""The contract of the intervals' family."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.state.state import EvaluationState


@runtime_checkable
class Interval(Protocol):
    """A pure function from sums by user to the ends of an interval.

    All treat users as independent draws, and the estimate as a ratio of their sums.
    """

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        ...

    @property
    def finite_sample(self) -> bool:
        """Whether its level holds at every number of users, not only as they grow in number."""
        ...

    @property
    def anytime(self) -> bool:
        """Whether its level holds for all numbers of users together, so that one may look often."""
        ...

    def __call__(
        self, state: EvaluationState, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends of each objective, each of shape (m,), two-sided of ``level``.

        NaN where there is no interval.

        Raises:
            ValueError: the state's estimate is not of the kind that this interval is for.
        """
        ...
