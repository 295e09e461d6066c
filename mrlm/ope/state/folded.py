"""FoldedState: the moments of users who will not come back, in memory that no log makes grow."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.scores import ratios
from mrlm.ope.state.state import SAME, EvaluationState, check_same_estimate
from mrlm.ope.state.weight_sums import largest_fourth


@dataclass(frozen=True)
class FoldedState:
    """All that estimates and diagnostics need of complete users; m objectives, T terms, P policies.

    A user's influence is linear in the user's sums, so the powers of the influence that a variance,
    its degrees of freedom and the skewness need, up to the fourth, follow from the moment tensors
    of those sums. The sums are d = 2 T numbers: ``numerator - ratio * denominator`` of each term,
    ``ratio`` being the term's total, and then the denominators. Around the ratio the powers are as
    small as the influence itself and nothing cancels; merging moves both sides to the common ratio.

    Attributes:
        estimator: name of the estimator.
        covers_policy_value: see ``Scores``.
        objectives: m names.
        policies: P names.
        signs: float64, shape (T,).
        users: int64, shape (m,), users with a known reward.
        rows: int64, shape (m,).
        numerator: float64, shape (m, T), totals.
        denominator: float64, shape (m, T), totals.
        second: float64, shape (m, d, m, d), moments of the sums, across objectives.
        third: float64, shape (m, d, d, d).
        fourth: float64, shape (m, d, d, d, d).
        share_sum: float64, shape (m, P), see ``EvaluationState``.
        weight_sum: float64, shape (m, P).
        weight_square: float64, shape (m, P), sums of squared weights of rounds.
        weight_fourth: float64, shape (m, P), no less than the sums of their fourth powers; see
            ``largest_fourth``.
        weight_largest: float64, shape (m, P); after ``subtract``, an upper bound.
        user_square: float64, shape (m, P), sums of squares of users' sums of weights.
        user_fourth: float64, shape (m, P), sums of their fourth powers.
        excess_square: float64, shape (m, P), of each user's weights less shares, squared.
        excess_share: float64, shape (m, P), of that excess times the user's sum of shares.
        share_square: float64, shape (m, P), of the user's sum of shares, squared.
        matched: int64, shape (m, P).
        nonzero: int64, shape (m, P).
        nonzero_users: int64, shape (m, P), users who have such rounds.
        unsupported: float64, shape (m, P).
        expected_square: float64, shape (m, P).
        estimand: see ``Scores``.
        fitted: see ``Scores``.
    """

    estimator: str
    covers_policy_value: bool
    objectives: tuple[str, ...]
    policies: tuple[str, ...]
    signs: NDArray[np.float64]
    users: NDArray[np.int64]
    rows: NDArray[np.int64]
    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]
    second: NDArray[np.float64]
    third: NDArray[np.float64]
    fourth: NDArray[np.float64]
    share_sum: NDArray[np.float64]
    weight_sum: NDArray[np.float64]
    weight_square: NDArray[np.float64]
    weight_fourth: NDArray[np.float64]
    weight_largest: NDArray[np.float64]
    user_square: NDArray[np.float64]
    user_fourth: NDArray[np.float64]
    excess_square: NDArray[np.float64]
    excess_share: NDArray[np.float64]
    share_square: NDArray[np.float64]
    matched: NDArray[np.int64]
    nonzero: NDArray[np.int64]
    nonzero_users: NDArray[np.int64]
    unsupported: NDArray[np.float64]
    expected_square: NDArray[np.float64]
    estimand: str = "per decision"
    fitted: bool = False

    # Powers that overflow are infinite, which certification refuses.
    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def of(cls, state: EvaluationState) -> FoldedState:
        """The moments of a state's users, all of whom must be complete."""
        numerator, denominator = state.numerator.sum(0), state.denominator.sum(0)
        around = _ratios(numerator, denominator)
        sums = np.concatenate(
            [state.numerator - around * state.denominator, state.denominator], axis=2
        )
        users, m, d = sums.shape
        flat = sums.reshape(users, m * d)
        pairs = (sums[:, :, :, None] * sums[:, :, None, :]).reshape(users, m, d * d)
        by_objective = pairs.transpose(1, 2, 0)
        weight, due = state.weight_sum, state.share_sum
        excess = weight - due
        return cls(
            **{name: getattr(state, name) for name in (*SAME, "signs")},
            users=(state.rows > 0).sum(0),
            rows=state.rows.sum(0),
            numerator=numerator,
            denominator=denominator,
            second=(flat.T @ flat).reshape(m, d, m, d),
            third=(by_objective @ sums.transpose(1, 0, 2)).reshape(m, d, d, d),
            fourth=(by_objective @ pairs.transpose(1, 0, 2)).reshape(m, d, d, d, d),
            share_sum=due.sum(0),
            weight_sum=weight.sum(0),
            weight_square=state.weight_square.sum(0),
            weight_fourth=largest_fourth(state.weight_largest, state.weight_square).sum(0),
            weight_largest=state.weight_largest.max(0, initial=0.0),
            user_square=(weight**2).sum(0),
            user_fourth=(weight**4).sum(0),
            excess_square=(excess**2).sum(0),
            excess_share=(excess * due).sum(0),
            share_square=(due**2).sum(0),
            matched=state.matched.sum(0),
            nonzero=state.nonzero.sum(0),
            nonzero_users=(state.nonzero > 0).sum(0),
            unsupported=state.unsupported.sum(0),
            expected_square=state.expected_square.sum(0),
        )

    def merge(self, other: FoldedState) -> FoldedState:
        """The moments of both sets of users, who must be different users.

        Raises:
            ValueError: the other state is of another estimate.
        """
        largest = np.maximum(self.weight_largest, other.weight_largest)
        return replace(self._combined(other, 1), weight_largest=largest)

    def subtract(self, other: FoldedState) -> FoldedState:
        """These moments without some whole users; merge them again with what arrived late.

        Raises:
            ValueError: the other state is of another estimate, or holds users this one has not.
        """
        if (other.users > self.users).any() or (other.rows > self.rows).any():
            raise ValueError("more users or rounds are subtracted than were folded")
        return self._combined(other, -1)

    @np.errstate(over="ignore", invalid="ignore")
    def influence_moments(self) -> tuple[NDArray[np.float64], ...]:
        """Second (m, m), third (m,) and fourth (m,) moments of the users' influence.

        ``sum_t signs[t] * sums[t] / denominator[t]`` is the influence of ``ratio_influence``; NaN
        where a denominator is 0.
        """
        terms = slice(0, len(self.signs))
        a = self.signs / np.where(self.denominator != 0, self.denominator, np.nan)
        return (
            np.einsum("ja,jakb,kb->jk", a, self.second[:, terms, :, terms], a),
            np.einsum("jabc,ja,jb,jc->j", self.third[:, terms, terms, terms], a, a, a),
            np.einsum(
                "jabcd,ja,jb,jc,jd->j", self.fourth[:, terms, terms, terms, terms], a, a, a, a
            ),
        )

    @np.errstate(over="ignore", invalid="ignore")
    def _combined(self, other: FoldedState, sign: int) -> FoldedState:
        check_same_estimate(self, other)
        totals: dict[str, Any] = {
            name: getattr(self, name) + sign * getattr(other, name) for name in _ADDED
        }
        around = _ratios(totals["numerator"], totals["denominator"])
        moments = zip(self._moments(around), other._moments(around), strict=True)
        for name, (mine, theirs) in zip(_MOMENTS, moments, strict=True):
            totals[name] = mine + sign * theirs
        return replace(self, **totals)

    def _moments(self, around: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """The tensors for sums around other ratios (m, T): a linear map of the sums."""
        m, terms = around.shape
        # numerator - around * denominator = (numerator - ratio * denominator) + shift * denominator
        shift = _ratios(self.numerator, self.denominator) - around
        a = np.tile(np.eye(2 * terms), (m, 1, 1))
        a[:, np.arange(terms), terms + np.arange(terms)] = shift
        return (
            np.einsum("jai,jikl,kbl->jakb", a, self.second, a),
            np.einsum("jai,jbk,jcl,jikl->jabc", a, a, a, self.third, optimize=True),
            np.einsum("jai,jbk,jcl,jdn,jikln->jabcd", a, a, a, a, self.fourth, optimize=True),
        )


_MOMENTS = ("second", "third", "fourth")
_OTHER = ("signs", "weight_largest")
_ADDED = [f.name for f in fields(FoldedState) if f.name not in {*SAME, *_MOMENTS, *_OTHER}]


def _ratios(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[Any]:
    return np.nan_to_num(ratios(numerator, denominator))
