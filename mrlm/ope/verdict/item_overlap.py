"""Overlap of a target policy with the log, item by item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.plain import plain_fields
from mrlm.ope.verdict.overlap import two_sided


@dataclass(frozen=True)
class ItemOverlap:
    """One item's support: what the target wants of it, and what the weighted log holds.

    Attributes:
        item: code of the item.
        offered: rounds that have it as a candidate.
        shown: rounds that showed it.
        target_share: mean target mass on it, over all rounds.
        weighted_share: mean weight of the rounds that showed it; expected to be the target share.
        standard_error: of their difference, clustered by user; None below two users.
        p_value: two-sided, of difference 0, by Student's t over users; None where the standard
            error is None or 0.
        gap: mean target mass on it in rounds whose logger never shows it; None where unknown.
    """

    item: int
    offered: int
    shown: int
    target_share: float
    weighted_share: float
    standard_error: float | None
    p_value: float | None
    gap: float | None

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values; None for what is not finite."""
        return plain_fields(self)


def item_overlap(batch: EvaluationBatch, item: NDArray[np.int64]) -> tuple[ItemOverlap, ...]:
    """Support of each candidate item, by ascending code.

    Args:
        batch: n rounds with N candidates.
        item: int64, shape (N,), code of each candidate's item.

    Raises:
        ValueError: the shapes differ.
    """
    if item.shape != batch.target.shape:
        raise ValueError(f"item must have shape {batch.target.shape}; got {item.shape}")
    found, code = np.unique(item, return_inverse=True)
    n, m = len(batch), len(found)
    user = group(batch.cluster)[1]
    weighted = np.zeros(len(item))
    weighted[batch.shown] = batch.weight
    pair, place = np.unique(np.repeat(user, np.diff(batch.offsets)) * m + code, return_inverse=True)
    by_pair = np.bincount(place, weighted - batch.target)
    users = int(user.max()) + 1
    # An infinite weight leaves NaN.
    with np.errstate(invalid="ignore", over="ignore"):
        square = np.bincount(pair % m, by_pair**2, m)
        mean = np.bincount(code, weighted - batch.target, m) / users
        spread = np.sqrt(np.maximum(square - users * mean**2, 0.0) * users / max(users - 1, 1)) / n
    logged = batch.candidate_propensity
    gap = None
    if logged is not None and not np.isnan(logged).any():
        gap = np.bincount(code, np.where(logged > 0, 0.0, batch.target), m) / n
    offered, shown = np.bincount(code), np.bincount(code[batch.shown], minlength=m)
    share = np.bincount(code, batch.target, m) / n
    got = np.bincount(code, weighted, m) / n
    return tuple(
        ItemOverlap(
            item=int(found[k]),
            offered=int(offered[k]),
            shown=int(shown[k]),
            target_share=float(share[k]),
            weighted_share=float(got[k]),
            standard_error=float(spread[k]) if users > 1 else None,
            p_value=two_sided(float(got[k] - share[k]), float(spread[k]), users),
            gap=None if gap is None else float(gap[k]),
        )
        for k in range(m)
    )
