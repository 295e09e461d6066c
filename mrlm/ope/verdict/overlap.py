"""Overlap of a target policy with the log, by group of rounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group as codes_of
from mrlm.ope.plain import finite, plain_fields
from mrlm.ope.verdict.diagnostics import kish, norm

QUANTILES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class GroupOverlap:
    """Importance weights of one group of rounds: a scene, a segment, or all.

    Attributes:
        group: label of the group.
        rows: rounds.
        users: users who have such rounds.
        effective_sample_size: (sum w)^2 / sum w^2 (Kish).
        largest_weight_share: share of the largest weight in their sum.
        mean_weight: expected to be 1 where propensities are true and the target is supported.
        standard_error: of the mean weight, clustered by user; None below two users.
        p_value: two-sided, of mean weight 1, by Student's t over users; too small too often where
            the tail index is below 2. None where the standard error is None or 0.
        quantiles: of the weights, at ``QUANTILES``.
        tail_index: Hill's; below 2 the weights' variance is in doubt. None where too few weights
            are positive or the largest are all equal.
        unsupported_mass: mean target mass that the logger never shows; None where unknown.
    """

    group: str
    rows: int
    users: int
    effective_sample_size: float
    largest_weight_share: float
    mean_weight: float
    standard_error: float | None
    p_value: float | None
    quantiles: tuple[float, ...]
    tail_index: float | None
    unsupported_mass: float | None

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values; None for what is not finite, as with an infinite weight."""
        return plain_fields(self) | {"quantiles": [finite(q) for q in self.quantiles]}


def group_overlap(
    weight: NDArray[np.float64],
    cluster: NDArray[Any],
    group: NDArray[Any] | None = None,
    unsupported: NDArray[np.float64] | None = None,
) -> tuple[GroupOverlap, ...]:
    """Overlap of all rounds, labelled ``all``, then of each group by ascending label.

    Args:
        weight: float64, shape (n,), importance weights.
        cluster: int64 or str, shape (n,), users.
        group: int64 or str, shape (n,), a property of the round known before the choice, such as
            its scene; not the shown item, whose expected weight is not 1 (see ``item_overlap``).
        unsupported: float64, shape (n,), target mass that the logger never shows; NaN if unknown.

    Raises:
        ValueError: the log is empty or the shapes differ.
    """
    n = len(weight)
    sizes = {"cluster": cluster, "group": group, "unsupported": unsupported}
    for name, array in sizes.items():
        if array is not None and array.shape != (n,):
            raise ValueError(f"{name} must have shape ({n},); got {array.shape}")
    if n == 0:
        raise ValueError("overlap needs at least one round; the log is empty")
    lost = np.full(n, np.nan) if unsupported is None else unsupported
    # A propensity near 0 makes an infinite weight: what that leaves undefined is NaN.
    with np.errstate(invalid="ignore", over="ignore"):
        return tuple(
            _one_group(label, weight[index], cluster[index], lost[index])
            for label, index in _groups(group, n)
        )


def tail_index(weight: NDArray[np.float64]) -> float | None:
    """Hill's estimate of the tail index from the largest sqrt(n) positive weights.

    ``1 / mean(log(w_(i) / w_(k+1)))`` over the k largest; Hill (1975). None below 100 positive
    weights, or where the largest are all equal.
    """
    positive = weight[weight > 0]
    k = math.isqrt(len(positive))
    if k < 10:
        return None
    top = np.sort(np.partition(positive, -(k + 1))[-(k + 1) :])
    mean = float(np.log(top[1:] / top[0]).mean())
    return 1 / mean if mean > 1e-12 else None


def _groups(group: NDArray[Any] | None, n: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    yield "all", np.arange(n)
    if group is not None:
        labels, code = codes_of(group)
        order = np.argsort(code, kind="stable")
        starts = np.searchsorted(code[order], np.arange(len(labels) + 1))
        for k, label in enumerate(labels):
            yield str(label), order[starts[k] : starts[k + 1]]


def _one_group(
    label: str,
    weight: NDArray[np.float64],
    cluster: NDArray[Any],
    unsupported: NDArray[np.float64],
) -> GroupOverlap:
    n, total = len(weight), float(weight.sum())
    mean = total / n
    code = codes_of(cluster)[1]
    users = int(code.max()) + 1
    error = None
    if users > 1 and math.isfinite(mean):
        residual: NDArray[np.float64] = np.bincount(code, weight - mean).astype(np.float64)
        error = math.sqrt(users / (users - 1)) * norm(residual) / n
    lost = float(unsupported.mean())
    return GroupOverlap(
        group=label,
        rows=n,
        users=users,
        effective_sample_size=kish(weight),
        largest_weight_share=float(weight.max()) / total if total else 1.0,
        mean_weight=mean,
        standard_error=error,
        p_value=two_sided(mean - 1, error or 0.0, users),
        quantiles=tuple(float(q) for q in np.quantile(weight, QUANTILES)),
        tail_index=tail_index(weight),
        unsupported_mass=None if math.isnan(lost) else lost,
    )


def two_sided(difference: float, error: float, users: int) -> float | None:
    """P-value of a difference by Student's t over users; None without a standard error."""
    from scipy.special import stdtr

    if users < 2 or error == 0:
        return None
    return float(2 * stdtr(users - 1, -abs(difference) / error))
