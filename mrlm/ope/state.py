"""EvaluationState: sums by user that can be added, merged and subtracted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.ope.scores import Scores


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
        weight_sum: float64, shape (C, m, P).
        weight_square: float64, shape (C, m, P), sums of squared weights.
        weight_largest: float64, shape (C, m, P); after ``subtract``, an upper bound.
        matched: int64, shape (C, m, P), rounds whose weight is not zero.
        nonzero: int64, shape (C, m, P), rounds whose reward and weight are both not zero.
        unsupported: float64, shape (C, m, P), sums of the target mass that the logger never shows.
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
    weight_sum: NDArray[np.float64]
    weight_square: NDArray[np.float64]
    weight_largest: NDArray[np.float64]
    matched: NDArray[np.int64]
    nonzero: NDArray[np.int64]
    unsupported: NDArray[np.float64]

    @classmethod
    def of(cls, scores: Scores) -> EvaluationState:
        """The state of one batch of scores."""
        cluster, code = group(scores.cluster)
        order = np.argsort(code, kind="stable")
        starts = np.searchsorted(code[order], np.arange(len(cluster)))
        used = scores.used[:, :, None]
        weight = np.where(used, scores.weight[:, None, :], 0.0)

        def by_user(values: NDArray[Any]) -> NDArray[Any]:
            return np.add.reduceat(values[order], starts, axis=0)

        return cls(
            estimator=scores.estimator,
            covers_policy_value=scores.covers_policy_value,
            objectives=scores.objectives,
            policies=scores.policies,
            signs=scores.signs,
            cluster=cluster,
            rows=by_user(scores.used.astype(np.int64)),
            numerator=by_user(scores.numerator),
            denominator=by_user(scores.denominator),
            weight_sum=by_user(weight),
            weight_square=by_user(weight**2),
            weight_largest=np.maximum.reduceat(weight[order], starts, axis=0),
            matched=by_user((weight > 0).astype(np.int64)),
            nonzero=by_user((scores.nonzero[:, :, None] & (weight > 0)).astype(np.int64)),
            unsupported=by_user(np.where(used, scores.unsupported[:, None, :], 0.0)),
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
        self._check_same_estimate(other)
        cluster, code = group(np.concatenate([self.cluster, other.cluster]))
        mine, theirs = code[: len(self.cluster)], code[len(self.cluster) :]
        sums: dict[str, Any] = {}
        for name in _SUMS:
            a, b = getattr(self, name), getattr(other, name)
            out = np.zeros((len(cluster), *a.shape[1:]), a.dtype)
            out[mine] = a
            out[theirs] += b
            sums[name] = out
        largest = np.zeros(sums["weight_sum"].shape)
        largest[mine] = self.weight_largest
        largest[theirs] = np.maximum(largest[theirs], other.weight_largest)
        return replace(self, cluster=cluster, weight_largest=largest, **sums)

    def subtract(self, other: EvaluationState) -> EvaluationState:
        """This state without rounds that were added before; a late reward is such a correction.

        Raises:
            ValueError: the other state is of another estimate, or holds rounds this one has not.
        """
        self._check_same_estimate(other)
        known = np.isin(other.cluster, self.cluster)
        if not known.all():
            raise ValueError(f"user {other.cluster[~known][0]!r} was never added to this state")
        at = np.searchsorted(self.cluster, other.cluster)
        sums: dict[str, Any] = {}
        for name in _SUMS:
            out = getattr(self, name).copy()
            out[at] -= getattr(other, name)
            sums[name] = out
        if (sums["rows"] < 0).any():
            user = self.cluster[(sums["rows"] < 0).any(1)][0]
            raise ValueError(f"more rounds subtracted than were added for user {user!r}")
        gone = sums["rows"] == 0
        for name in _SUMS:
            # Sums of no rounds are 0, not what rounding left.
            sums[name][gone] = 0
        largest = np.where(gone[:, :, None], 0.0, self.weight_largest)
        keep = ~gone.all(1)
        sums = {name: array[keep] for name, array in sums.items()}
        return replace(self, cluster=self.cluster[keep], weight_largest=largest[keep], **sums)

    def _check_same_estimate(self, other: EvaluationState) -> None:
        for name in ("estimator", "objectives", "policies"):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(
                    f"states of different {name} cannot be combined: "
                    f"{getattr(self, name)!r} and {getattr(other, name)!r}"
                )


_SUMS = (
    "rows",
    "numerator",
    "denominator",
    "weight_sum",
    "weight_square",
    "matched",
    "nonzero",
    "unsupported",
)


def group(cluster: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Sorted unique users, and the place of each round's user among them, int64, shape (n,)."""
    if cluster.dtype.kind in "iu":
        found, code = np.unique(cluster, return_inverse=True)
        return found, code.astype(np.int64)
    # Sorting Python strings once per user instead of once per round.
    encoded = pa.array(cluster.astype(object), pa.string()).dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    found = encoded.dictionary.to_numpy(zero_copy_only=False)[order]
    return found, place[encoded.indices.to_numpy(zero_copy_only=False)]
