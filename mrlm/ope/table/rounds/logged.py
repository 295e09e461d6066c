"""LoggedTable: rounds of which only the shown item is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.checks import RowError, check_shape


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
        rows: int64, shape (n,), numbers of the rounds in their file, for messages; None where they
            count from 0.

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
    rows: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        n, m = len(self.propensity), len(self.objectives)
        check_shape("cluster", self.cluster, (n,))
        check_shape("target", self.target, (n,))
        check_shape("rewards", self.rewards, (n, m))
        check_shape("q", self.q, (n, m))
        check_shape("v", self.v, (n, m))
        p, t = self.propensity, self.target
        self.refuse(
            ~((p > 0) & (p <= 1)),
            p,
            "the propensity must be in (0, 1]; leave such rows out and say how many they were",
        )
        self.refuse(
            ~((t >= 0) & (t <= 1)),
            t,
            f"the target probability of {self.policy} must be in [0, 1]",
        )
        with np.errstate(over="ignore"):
            w = self.weight
        self.refuse(
            ~np.isfinite(w),
            p,
            "the propensity is so small that the importance weight is infinite; leave such rows "
            "out and say how many they were",
        )
        for j, name in enumerate(self.objectives):
            r = self.rewards[:, j]
            self.refuse(np.isinf(r), r, f"the reward {name} is infinite; leave it empty if unknown")
            for what, values in (("q_hat", self.q), ("v_hat", self.v)):
                if values is not None and not np.isfinite(values[:, j].sum()):
                    x = values[:, j]
                    self.refuse(
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

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> LoggedTable:
        """The rounds at ``index``, in that order."""
        return replace(
            self,
            cluster=self.cluster[index],
            target=self.target[index],
            propensity=self.propensity[index],
            rewards=self.rewards[index],
            q=None if self.q is None else self.q[index],
            v=None if self.v is None else self.v[index],
            rows=None if self.rows is None else self.rows[index],
        )

    def refuse(
        self,
        bad: NDArray[np.bool_],
        values: NDArray[np.float64],
        problem: str,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        """Refuse the first bad row by its number in the file.

        Args:
            bad: bool, shape (n,).
            values: shape (n,), for the message.
            problem: what is wrong, and what to do.
            order: int64, shape (n,), rounds that ``bad`` and ``values`` are of; None for all in
                their order.

        Raises:
            RowError: a row is bad.
        """
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            at = i if order is None else int(order[i])
            row = at if self.rows is None else self.rows[at]
            raise RowError(
                int(row),
                f"{problem}; got {values[i]} ({int(bad.sum())} such rows here, counting from 0)",
            )


def _present(values: NDArray[np.float64] | None, column: str) -> NDArray[np.float64]:
    if values is None:
        raise ValueError(f"this estimator needs the column {column}; add it, or use ips or snips")
    return values
