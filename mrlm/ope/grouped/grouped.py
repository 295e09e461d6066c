"""Scores of rounds that hold several rewards each: slates and sessions."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import pieces
from mrlm.bandit_log.users import group
from mrlm.ope.batch import CANDIDATES_AT_ONCE
from mrlm.ope.checks import check_rows
from mrlm.ope.scores import Scores


class Grouped(Protocol):
    """What slates and sessions share: n rounds of m objectives under one target policy."""

    @property
    def cluster(self) -> NDArray[Any]:
        """User of each round, shape (n,)."""
        ...

    @property
    def objectives(self) -> tuple[str, ...]:
        """The m names."""
        ...

    @property
    def policy(self) -> str:
        """Name of the target policy."""
        ...

    @property
    def estimand(self) -> str:
        """What the value is of, see ``mrlm.ope.estimand``."""
        ...

    @property
    def used(self) -> NDArray[np.bool_]:
        """Where every reward of the round is known, shape (n, m)."""
        ...

    @property
    def nonzero(self) -> NDArray[np.bool_]:
        """Where some reward of the round is known and not 0, shape (n, m)."""
        ...


def grouped_scores(
    estimator: str,
    covers_policy_value: bool,
    batch: Grouped,
    numerator: NDArray[np.float64],
    denominator: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> Scores:
    """Scores of a sum of ratios; numerator of shape (n, m, T), denominator broadcast to it.

    Args:
        estimator: name of the estimator.
        covers_policy_value: see ``Scores``.
        batch: the rounds.
        numerator: float64, shape (n, m, T).
        denominator: float64, broadcast to (n, m, T).
        weight: float64, shape (n,), importance weight of the whole round, of mean 1.
    """
    used = batch.used
    return Scores(
        estimator=estimator,
        covers_policy_value=covers_policy_value,
        objectives=batch.objectives,
        policies=(batch.policy,),
        cluster=batch.cluster,
        numerator=np.where(used[:, :, None], numerator, 0.0),
        denominator=np.where(used[:, :, None], denominator, 0.0),
        signs=np.ones(numerator.shape[2]),
        used=used,
        nonzero=used & batch.nonzero,
        weight=weight[:, None],
        unsupported=np.full((len(weight), 1), np.nan),
        expected_square=np.full((len(weight), 1), np.nan),
        estimand=batch.estimand,
    )


def all_known(rewards: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where no reward of the round is NaN, bool, shape (n, m), from rewards of shape (S, m)."""
    missing = np.isnan(rewards)
    if not missing.any():
        return np.ones((len(offsets) - 1, rewards.shape[1]), np.bool_)
    found: NDArray[np.bool_] = ~np.logical_or.reduceat(missing, offsets[:-1], axis=0)
    return found


def any_nonzero(rewards: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where some reward of the round is known and not 0, bool, shape (n, m)."""
    hit = (rewards != 0) & ~np.isnan(rewards)
    found: NDArray[np.bool_] = np.logical_or.reduceat(hit, offsets[:-1], axis=0)
    return found


def round_sum(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum over each round, none of which is empty: (S, ...) gives (n, ...)."""
    summed: NDArray[np.float64] = np.add.reduceat(values, offsets[:-1], axis=0)
    return summed


def group_rows(
    round_id: NDArray[Any], place: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order of a table's rows that puts each round together, places ascending, and its offsets.

    For tables with one row a slot (request and position) or a step (session and step).

    Args:
        round_id: int64 or str, shape (S,), slate or session of each row.
        place: shape (S,), position or step of each row.

    Returns:
        int64, shape (S,), row numbers in order; int64, shape (n + 1,), offsets of the rounds.

    Raises:
        ValueError: a round has two rows of one place; the message names the second row.
    """
    found, code = group(round_id)
    order = np.lexsort((place, code))
    sorted_code, sorted_place = code[order], place[order]
    twice = np.zeros(len(order), np.bool_)
    same = (sorted_code[1:] == sorted_code[:-1]) & (sorted_place[1:] == sorted_place[:-1])
    twice[order[1:][same]] = True
    check_rows(twice, "its place in the slate or session was in a row before")
    return order, np.searchsorted(sorted_code, np.arange(len(found) + 1)).astype(np.int64)


def expectation(
    probability: NDArray[np.float64], values: NDArray[np.float64], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sum of probability times value over each candidate set, (N,) and (N, d) giving (n, d).

    In pieces of bounded size, whatever the size of the log; no set is empty.
    """
    out = np.empty((len(offsets) - 1, values.shape[1]))
    for start, stop in pieces(offsets, CANDIDATES_AT_ONCE // max(values.shape[1], 1)):
        low, high = int(offsets[start]), int(offsets[stop])
        products = probability[low:high, None] * values[low:high]
        out[start:stop] = np.add.reduceat(products, offsets[start:stop] - low, axis=0)
    return out
