"""LoggedTable: rounds of which only the shown item is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LoggedTable:
    """n logged rounds of m objectives under one target policy, without their candidate sets.

    Attributes:
        cluster: user of each round, integers or strings, shape (n,): the unit of independence.
        target: float64, shape (n,), in [0, 1], target probability of the shown item.
        propensity: float64, shape (n,), in (0, 1], probability with which it was shown.
        rewards: float64, shape (n, m); NaN where unknown.
        objectives: m names.
        q: float64, shape (n, m), predicted reward of the shown item; None without predictions.
        v: float64, shape (n, m), predicted reward under the target policy; None without one. Like
            ``q`` it must come from a model that was not fitted on these users' rewards.
        policy: name of the target policy.
        first_row: number of the first round in its file, for messages.

    Raises:
        ValueError: shapes or ranges are wrong; the message names row and column.
    """

    cluster: NDArray[Any]
    target: NDArray[np.float64]
    propensity: NDArray[np.float64]
    rewards: NDArray[np.float64]
    objectives: tuple[str, ...]
    q: NDArray[np.float64] | None = None
    v: NDArray[np.float64] | None = None
    policy: str = "policy"
    first_row: int = 0

    def __post_init__(self) -> None:
        n, m = len(self.propensity), len(self.objectives)
        shapes = {
            "cluster": (self.cluster, (n,)),
            "target": (self.target, (n,)),
            "rewards": (self.rewards, (n, m)),
            "q": (self.q, (n, m)),
            "v": (self.v, (n, m)),
        }
        for name, (array, shape) in shapes.items():
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
        p, t = self.propensity, self.target
        self._refuse(
            ~((p > 0) & (p <= 1)),
            p,
            "the propensity must be in (0, 1]; leave such rows out and say how many they were",
        )
        self._refuse(
            ~((t >= 0) & (t <= 1)),
            t,
            f"the target probability of {self.policy} must be in [0, 1]",
        )
        for j, name in enumerate(self.objectives):
            r = self.rewards[:, j]
            self._refuse(
                np.isinf(r), r, f"the reward {name} is infinite; leave it empty if unknown"
            )
            for what, values in (("q_hat", self.q), ("v_hat", self.v)):
                if values is not None and not np.isfinite(values[:, j].sum()):
                    x = values[:, j]
                    self._refuse(
                        ~np.isfinite(x), x, f"{what} of {name} is missing or not finite; predict it"
                    )

    def __len__(self) -> int:
        return len(self.propensity)

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """Importance weight target / propensity of the shown item, shape (n,)."""
        return self.target / self.propensity

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """Where the reward is known, bool, shape (n, m)."""
        return ~np.isnan(self.rewards)

    @property
    def unsupported(self) -> NDArray[np.float64]:
        """NaN, shape (n,): a table does not say what the logger never shows."""
        return np.full(len(self), np.nan)

    @property
    def expected_square(self) -> NDArray[np.float64]:
        """NaN, shape (n,): it takes the propensities of all candidates."""
        return np.full(len(self), np.nan)

    @property
    def predictions(self) -> NDArray[np.float64]:
        """Predicted rewards of the shown items, shape (n, m).

        Raises:
            ValueError: the table has none.
        """
        return _present(self.q, "q_hat")

    @property
    def shown(self) -> NDArray[np.int64]:
        """Every item is the shown one: 0 to n - 1."""
        return np.arange(len(self))

    @property
    def shown_predictions(self) -> NDArray[np.float64]:
        """``predictions``: there are no others.

        Raises:
            ValueError: the table has none.
        """
        return self.predictions

    @property
    def direct(self) -> NDArray[np.float64]:
        """Predicted reward under the target policy, shape (n, m).

        Raises:
            ValueError: the table has none.
        """
        return _present(self.v, "v_hat")

    def _refuse(self, bad: NDArray[np.bool_], values: NDArray[np.float64], problem: str) -> None:
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"row {self.first_row + i}: {problem}; got {values[i]} "
                f"({int(bad.sum())} such rows here, counting from 0)"
            )


def _present(values: NDArray[np.float64] | None, column: str) -> NDArray[np.float64]:
    if values is None:
        raise ValueError(f"this estimator needs the column {column}; add it, or use ips or snips")
    return values
