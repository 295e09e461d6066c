"""What the importance weights say about an estimate, from the mergeable state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.plain import plain_fields
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.state.weight_sums import largest_fourth

if TYPE_CHECKING:
    from mrlm.ope.state.folded import FoldedState


_MAY_BE_UNKNOWN = frozenset({"unsupported_mass", "expected_sample_size", "tail_rounds"})


@dataclass(frozen=True)
class Diagnostics:
    """Overlap of one policy with the log, over the rounds used for one objective.

    Where rounds do not count alike (per user, several loggers), weights are times the rounds'
    shares (``Scores.share``), of mean 1.

    Attributes:
        policy: name of the target policy.
        objective: name of the objective.
        rows: rounds with a known reward.
        users: users who have such rounds.
        effective_sample_size: (sum w)^2 / sum w^2 over rounds (Kish).
        effective_users: the same over the users' sums of weights.
        largest_weight: the largest importance weight.
        largest_weight_share: its share of the sum of weights.
        mean_weight: expected to be 1 when propensities are true and the target is supported.
        mean_weight_standard_error: of the mean weight, users being the unit of independence.
        unsupported_mass: mean target probability of candidates that the logger never shows; None
            where the log does not say.
        nonzero: rounds whose reward and weight are both not zero.
        matched: rounds whose weight is not zero.
        tail_users: (sum u^2)^2 / sum u^4 over the users' sums of weights u: how many users the
            variance rests on. Small under a heavy tail, where the largest few decide it.
        expected_sample_size: rounds^2 / sum of E[w^2 | context]: the effective sample size that
            the logger's propensities let one expect, whatever this log happened to show; None
            where a round lacks a candidate's propensity.
        weighted_terms: the estimate is a weighted mean of several, as of loggers (``stratified``).
        tail_rounds: of such an estimate at most (sum w^2)^2 / sum w^4 over rounds: how many rounds
            its largest parts have. None of others.
    """

    policy: str
    objective: str
    rows: int
    users: int
    effective_sample_size: float
    effective_users: float
    largest_weight: float
    largest_weight_share: float
    mean_weight: float
    mean_weight_standard_error: float
    unsupported_mass: float | None
    nonzero: int
    matched: int
    tail_users: float
    expected_sample_size: float | None = None
    weighted_terms: bool = False
    tail_rounds: float | None = None

    @property
    def effective_nonzero(self) -> float:
        """Share of rewards that are not zero among matched rounds, times the effective sample size.

        What ``nonzero`` would be if rounds of little weight counted little. Where a policy has most
        of its mass on one rare item, thousands of clicks on other items say nothing of its value.
        In a weighted mean of several estimates the rewards of one do not stand for those of
        another, so ``tail_rounds`` takes the place of the sample size: the rewards that the largest
        parts rest on. Users who bring many rounds are no such parts; effective users see them.
        """
        tail, all_rounds = self.tail_rounds, self.effective_sample_size
        rounds = all_rounds if tail is None else tail
        return self.nonzero / self.matched * rounds if self.matched else 0.0

    @property
    def _nonzero(self) -> float:
        return self.nonzero / self.matched * self.effective_sample_size if self.matched else 0.0

    @property
    def tail_nonzero(self) -> float:
        """``tail_users`` times the share of them that is expected to bring a reward, at most 1."""
        if not self.effective_users:
            return 0.0
        return self.tail_users * min(1.0, self._nonzero / self.effective_users)

    def to_json(self) -> dict[str, str | int | float | None]:
        """The fields, with None for what is not a finite number."""
        return plain_fields(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Diagnostics | None:
        """Read what ``to_json`` wrote, with NaN for numbers that were not finite.

        None: a figure is missing, as in a record of before it was kept.
        """
        if any(f.default is MISSING and f.name not in data for f in fields(cls)):
            return None
        if data.get("weighted_terms") and "tail_rounds" not in data:
            return None
        found: dict[str, Any] = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        lost = {n: math.nan for n, v in found.items() if v is None and n not in _MAY_BE_UNKNOWN}
        return cls(**{**found, **lost})


def diagnostics(state: EvaluationState) -> dict[str, tuple[Diagnostics, ...]]:
    """Diagnostics by objective, one for each policy of the estimate."""
    return {
        name: tuple(_one(state, j, k) for k in range(len(state.policies)))
        for j, name in enumerate(state.objectives)
    }


@dataclass(frozen=True)
class Totals:
    """Sums over users of one policy's weights, for one objective; see ``EvaluationState``.

    Attributes:
        rows: rounds with a known reward.
        users: users who have such rounds.
        shares: of the rounds' shares.
        weight: of weights.
        square: of squared weights.
        largest: not a sum: the largest weight, times its share.
        unsupported: of target mass that the logger never shows; NaN if unknown.
        expected_square: of expected squared weights; NaN if unknown.
        fourth: no less than the sum of the weights' fourth powers.
        nonzero: rounds whose reward and weight are both not zero.
        matched: rounds whose weight is not zero.
    """

    rows: int
    users: int
    shares: float
    weight: float
    square: float
    largest: float
    unsupported: float
    expected_square: float
    fourth: float
    nonzero: int
    matched: int

    @property
    def mean_weight(self) -> float:
        """Sum of weights over sum of shares; NaN without shares."""
        return self.weight / self.shares if self.shares else math.nan


def diagnosed(
    state: EvaluationState | FoldedState,
    j: int,
    k: int,
    totals: Totals,
    *,
    residual: float,
    effective_users: float,
    tail_users: float,
) -> Diagnostics:
    """Diagnostics of policy k and objective j of a state, from sums over its users.

    Args:
        state: whose names and signs count.
        j: place of the objective.
        k: place of the policy.
        totals: sums over all users.
        residual: root of the sum of squares of users' weights less mean weight times shares.
        effective_users: see ``Diagnostics``.
        tail_users: see ``Diagnostics``.
    """
    rows, users, shares, largest = totals.rows, totals.users, totals.shares, totals.largest
    error = math.nan
    if users > 1 and shares:
        error = math.sqrt(users / (users - 1)) * residual / shares
    lost = totals.unsupported
    # Weighed by shares, not only added and subtracted.
    weighted = bool((np.abs(state.signs) != 1).any())
    return Diagnostics(
        policy=state.policies[k],
        objective=state.objectives[j],
        rows=rows,
        users=users,
        effective_sample_size=effective_number(totals.weight, totals.square),
        effective_users=effective_users,
        largest_weight=largest * (rows / shares) if shares else largest,
        largest_weight_share=largest / totals.weight if totals.weight else 1.0,
        mean_weight=totals.mean_weight,
        mean_weight_standard_error=error,
        unsupported_mass=None if not shares or math.isnan(lost) else lost / shares,
        nonzero=totals.nonzero,
        matched=totals.matched,
        tail_users=tail_users,
        expected_sample_size=expected_sample_size(shares, totals.expected_square),
        weighted_terms=weighted,
        tail_rounds=effective_number(totals.square, totals.fourth) if weighted else None,
    )


def _one(state: EvaluationState, j: int, k: int) -> Diagnostics:
    counts, due, by_user = state.rows[:, j], state.share_sum[:, j, k], state.weight_sum[:, j, k]
    totals = Totals(
        rows=int(counts.sum()),
        users=int((counts > 0).sum()),
        shares=float(due.sum()),
        weight=float(by_user.sum()),
        square=float(state.weight_square[:, j, k].sum()),
        largest=float(state.weight_largest[:, j, k].max(initial=0.0)),
        unsupported=float(state.unsupported[:, j, k].sum()),
        expected_square=float(state.expected_square[:, j, k].sum()),
        fourth=float(
            largest_fourth(state.weight_largest[:, j, k], state.weight_square[:, j, k]).sum()
        ),
        nonzero=int(state.nonzero[:, j, k].sum()),
        matched=int(state.matched[:, j, k].sum()),
    )
    return diagnosed(
        state,
        j,
        k,
        totals,
        residual=norm(by_user - totals.mean_weight * due),
        effective_users=kish(by_user),
        tail_users=kish(scaled(by_user) ** 2),
    )


def expected_sample_size(shares: float, expected_square: float) -> float | None:
    """Effective sample size of weights of mean 1 and this sum of expected squares; None if unknown.

    Kish's formula with expectations in place of sums.

    Args:
        shares: expected sum of weights: rounds, or the sum of their shares.
        expected_square: sum of expected squared weights.
    """
    return shares**2 / expected_square if shares and expected_square > 0 else None


def effective_number(total: float, square: float) -> float:
    """``total^2 / square``; 0 where the sum of squares is 0, or too large for floating point."""
    # Divided in turn, since Python's power of a float raises where it overflows.
    return total / square * total if 0 < square < math.inf else 0.0


def kish(x: NDArray[np.float64]) -> float:
    """(sum x)^2 / sum x^2, free of overflow; 0 where all are 0."""
    y = scaled(x)
    square = float((y**2).sum())
    return float(y.sum() ** 2 / square) if square else 0.0


def scaled(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values divided by the largest of them, whose powers do not overflow; 0 where all are 0."""
    largest = float(np.abs(x).max(initial=0.0))
    return x / largest if largest else x


def norm(x: NDArray[np.float64]) -> float:
    """Square root of the sum of squares, free of overflow."""
    largest = float(np.abs(x).max(initial=0.0))
    return largest * float(np.sqrt((scaled(x) ** 2).sum()))
