"""Rounds: what an estimator that needs no other candidates reads of a log."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Rounds(Protocol):
    """n logged rounds of m objectives under one target policy.

    ``EvaluationBatch`` has them from whole candidate sets, ``LoggedTable`` from the columns of a
    table; an estimator's formula is written once, on this.
    """

    def __len__(self) -> int: ...

    @property
    def objectives(self) -> tuple[str, ...]:
        """The m names."""
        ...

    @property
    def policy(self) -> str:
        """Name of the target policy."""
        ...

    @property
    def cluster(self) -> NDArray[Any]:
        """User of each round, shape (n,)."""
        ...

    @property
    def rewards(self) -> NDArray[np.float64]:
        """Shape (n, m); NaN where unknown."""
        ...

    @property
    def weight(self) -> NDArray[np.float64]:
        """Importance weight of the shown item, shape (n,)."""
        ...

    @property
    def used(self) -> NDArray[np.bool_]:
        """Where the reward is known, shape (n, m)."""
        ...

    @property
    def unsupported(self) -> NDArray[np.float64]:
        """Target mass that the logger never shows, shape (n,); NaN if unknown."""
        ...

    @property
    def expected_square(self) -> NDArray[np.float64]:
        """Expected squared weight given the context, shape (n,); NaN if unknown."""
        ...

    @property
    def predictions(self) -> NDArray[np.float64]:
        """Predicted rewards, shape (N, m), of which ``predictions[shown]`` are the shown items'.

        Raises:
            ValueError: there are none.
        """
        ...

    @property
    def shown(self) -> NDArray[np.int64]:
        """Place of each shown item among the predictions, shape (n,)."""
        ...

    @property
    def shown_predictions(self) -> NDArray[np.float64]:
        """Predicted reward of each shown item, shape (n, m).

        Raises:
            ValueError: there is none.
        """
        ...

    @property
    def direct(self) -> NDArray[np.float64]:
        """Predicted reward under the target policy, shape (n, m).

        Raises:
            ValueError: there is none.
        """
        ...
