"""EvaluationState: sums by user that can be added, merged and subtracted."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group, union
from mrlm.ope.scores import Scores
from mrlm.ope.state.user_sums import counts, spread, sums
from mrlm.ope.state.weight_sums import weight_sums


@dataclass(frozen=True)
class EvaluationState:
    """All that intervals, differences and diagnostics need of a log.

    C users, m objectives, T ratio terms, P policies. One pass, shuffled shards or merged partitions
    give the same sums up to rounding.

    Attributes:
        estimator: name of the estimator.
        covers_policy_value: see ``Scores``.
        objectives: m names.
        policies: P names.
        signs: float64, shape (T,).
        cluster: the users, sorted, unique, shape (C,).
        rows: int64, shape (C, m), rounds with a known reward.
        numerator: float64, shape (C, m, T), sums of scores.
        denominator: float64, shape (C, m, T), sums of scores.
        share_sum: float64, shape (C, m, P), sums of the rounds' shares, each 1 unless the scores
            say otherwise (``Scores.share``); what ``weight_sum`` is expected to be.
        weight_sum: float64, shape (C, m, P); here and below, weights are times shares.
        weight_square: float64, shape (C, m, P), sums of squared weights.
        weight_largest: float64, shape (C, m, P); after ``subtract``, an upper bound.
        matched: int64, shape (C, m, P), rounds whose weight is not zero.
        nonzero: int64, shape (C, m, P), rounds whose reward and weight are both not zero.
        unsupported: float64, shape (C, m, P), sums of the target mass that the logger never shows.
        expected_square: float64, shape (C, m, P), sums of the expected squared weights.
        estimand: see ``Scores``.
        fitted: see ``Scores``.

    Examples:
        >>> import numpy as np
        >>> from mrlm import ESTIMATORS, EvaluationBatch, EvaluationState, Uniform, latent_log
        >>> log, _ = latent_log(n_users=50, decisions_per_user=6, n_candidates=4, seed=0)
        >>> target = np.exp(Uniform().log_probabilities(log.decisions))
        >>> batch = EvaluationBatch.from_log(log, target, policy="uniform")
        >>> one, other = (batch.take(half) for half in np.array_split(np.arange(len(batch)), 2))
        >>> ips = ESTIMATORS["ips"]
        >>> state = EvaluationState.of(ips(one)).add(ips(other))
        >>> int(state.rows.sum(0)[0]), len(state.cluster)
        (300, 50)
    """

    estimator: str
    covers_policy_value: bool
    objectives: tuple[str, ...]
    policies: tuple[str, ...]
    signs: NDArray[np.float64]
    cluster: NDArray[Any]
    rows: NDArray[np.int64]
    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]
    share_sum: NDArray[np.float64]
    weight_sum: NDArray[np.float64]
    weight_square: NDArray[np.float64]
    weight_largest: NDArray[np.float64]
    matched: NDArray[np.int64]
    nonzero: NDArray[np.int64]
    unsupported: NDArray[np.float64]
    expected_square: NDArray[np.float64]
    estimand: str = "per decision"
    fitted: bool = False

    # Powers that overflow are infinite, which certification refuses.
    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def of(cls, scores: Scores) -> EvaluationState:
        """The state of one batch of scores."""
        cluster, code = group(scores.cluster)
        users = len(cluster)
        rows = counts(code, scores.used, users)
        same: dict[str, Any] = {name: getattr(scores, name) for name in (*SAME, "signs")}
        summed: dict[str, Any] = weight_sums(scores, code, rows)
        return cls(
            **same,
            cluster=cluster,
            rows=rows,
            numerator=sums(code, scores.numerator, users),
            denominator=sums(code, scores.denominator, users),
            **summed,
        )

    def add(self, scores: Scores) -> EvaluationState:
        """This state with one more batch of scores.

        Raises:
            ValueError: the scores are of another estimate.
        """
        return self.merge(EvaluationState.of(scores))

    def merge(self, other: EvaluationState) -> EvaluationState:
        """The state of both logs together.

        Raises:
            ValueError: the other state is of another estimate.
        """
        check_same_estimate(self, other)
        cluster, mine, theirs = union(self.cluster, other.cluster)
        totals: dict[str, Any] = {}
        for name in _SUMS:
            totals[name] = spread(getattr(self, name), mine, len(cluster))
            totals[name][theirs] += getattr(other, name)
        largest = spread(self.weight_largest, mine, len(cluster))
        largest[theirs] = np.maximum(largest[theirs], other.weight_largest)
        return replace(self, cluster=cluster, weight_largest=largest, **totals)

    def subtract(self, other: EvaluationState) -> EvaluationState:
        """This state without rounds that were added before; a late reward is such a correction.

        Raises:
            ValueError: the other state is of another estimate, or holds rounds this one has not.
        """
        check_same_estimate(self, other)
        known = np.isin(other.cluster, self.cluster)
        if not known.all():
            raise ValueError(f"user {other.cluster[~known][0]!r} was never added to this state")
        at = np.searchsorted(self.cluster, other.cluster)
        totals: dict[str, Any] = {}
        for name in _SUMS:
            out = getattr(self, name).copy()
            out[at] -= getattr(other, name)
            totals[name] = out
        if (totals["rows"] < 0).any():
            user = self.cluster[(totals["rows"] < 0).any(1)][0]
            raise ValueError(f"more rounds subtracted than were added for user {user!r}")
        gone = totals["rows"] == 0
        for name in _SUMS:
            # Sums of no rounds are 0, not what rounding left.
            totals[name][gone] = 0
        largest = np.where(gone[:, :, None], 0.0, self.weight_largest)
        keep = ~gone.all(1)
        totals = {name: array[keep] for name, array in totals.items()}
        return replace(self, cluster=self.cluster[keep], weight_largest=largest[keep], **totals)

    def take(self, users: slice) -> EvaluationState:
        """The state of some of the users, by their place in ``cluster``."""
        names = ("cluster", *BY_USER)
        return replace(self, **{name: getattr(self, name)[users] for name in names})


# What states that can be combined have in common, beside their signs.
SAME = ("estimator", "covers_policy_value", "objectives", "policies", "estimand", "fitted")
# The arrays with a row a user; all but the largest weight are sums over the user's rounds.
BY_USER = tuple(
    f.name for f in fields(EvaluationState) if f.name not in {*SAME, "signs", "cluster"}
)
_SUMS = tuple(name for name in BY_USER if name != "weight_largest")


def check_same_estimate(one: Any, other: Any) -> None:
    """Check that two states, both folded or both not, are of one estimate.

    Raises:
        ValueError: a name, ``covers_policy_value`` or a sign or share of a term differs.
    """
    for name in SAME:
        if getattr(one, name) != getattr(other, name):
            raise ValueError(
                f"states of different {name} cannot be combined: "
                f"{getattr(one, name)!r} and {getattr(other, name)!r}"
            )
    if not np.array_equal(one.signs, other.signs):
        raise ValueError(
            "states whose terms have different signs or shares cannot be combined: "
            f"{one.signs} and {other.signs}; choose the shares once, on the whole log"
        )
