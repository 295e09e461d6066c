"""Sums by user of what certification reads of importance weights, each round with its share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.scores import Scores
from mrlm.ope.state.user_sums import counts_where, known_sums, largest_where, sums_where


def weight_sums(
    scores: Scores, code: NDArray[np.int64], rows: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """The fields of ``EvaluationState`` that are sums over weights, each of shape (C, m, P).

    A round's weight counts times its share, and its square times the share's square, so that
    effective sample sizes are those of the estimate that the shares make.

    Args:
        scores: n rounds of m objectives.
        code: int64, shape (n,), place of each round's user among C.
        rows: int64, shape (C, m), rounds with a known reward.
    """
    if scores.share is None:
        found = _sums(scores, code, rows, slice(None), None)
        shape = (*rows.shape, len(scores.policies))
        found["share_sum"] = np.broadcast_to(rows[:, :, None], shape).astype(np.float64)
        return found
    parts = []
    for j in range(len(scores.objectives)):
        one, share = slice(j, j + 1), scores.share[:, j]
        part = _sums(scores, code, rows, one, share)
        part["share_sum"] = sums_where(code, share, scores.used[:, one], len(rows))
        parts.append(part)
    return {name: np.concatenate([p[name] for p in parts], axis=1) for name in parts[0]}


# Powers that overflow are infinite, which certification refuses.
@np.errstate(over="ignore", invalid="ignore")
def largest_fourth(
    largest: NDArray[np.float64], square: NDArray[np.float64]
) -> NDArray[np.float64]:
    """No less than the sums of fourth powers of weights, and equal where a user's are alike.

    Args:
        largest: of each user's weights.
        square: sums of their squares, of the same shape.
    """
    found: NDArray[np.float64] = largest**2 * square
    return found


def _sums(
    scores: Scores,
    code: NDArray[np.int64],
    rows: NDArray[np.int64],
    objectives: slice,
    share: NDArray[np.float64] | None,
) -> dict[str, NDArray[Any]]:
    """Of some objectives, whose rounds have these shares, shape (n, P); None where all are 1."""
    weight, lost, expected = scores.weight, scores.unsupported, scores.expected_square
    if share is not None:
        weight, lost, expected = weight * share, lost * share, expected * share**2
    used, nonzero = scores.used[:, objectives], scores.nonzero[:, objectives]
    users, known = len(rows), rows[:, objectives]
    return {
        "weight_sum": sums_where(code, weight, used, users),
        "weight_square": sums_where(code, weight**2, used, users),
        "weight_largest": largest_where(code, weight, used, users),
        "matched": counts_where(code, used, weight, users),
        "nonzero": counts_where(code, nonzero, weight, users),
        "unsupported": known_sums(code, lost, used, known),
        "expected_square": known_sums(code, expected, used, known),
    }
