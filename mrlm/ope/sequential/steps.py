"""Sums over the steps of sessions, and self-normalisation by step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows
from mrlm.ope.grouped.grouped import round_sum
from mrlm.ope.sequential.batch import SessionBatch


def check_discount(discount: float) -> None:
    """Check that a discount is in (0, 1].

    Raises:
        ValueError: it is not.
    """
    if not 0 < discount <= 1:
        raise ValueError(f"the discount must be in (0, 1]; got {discount}")


def labelled(name: str, discount: float) -> str:
    """Name of an estimate, with its discount: those of different discounts must not be merged."""
    return name if discount == 1 else f"{name}, discount {discount!r}"


def discounts(batch: SessionBatch, discount: float) -> NDArray[np.float64]:
    """Discount to the power of each step's number, float64, shape (S,)."""
    return np.power(discount, batch.step)


def last(values: NDArray[np.float64], batch: SessionBatch) -> NDArray[np.float64]:
    """The value of each session's last step, shape (n,)."""
    return values[batch.offsets[1:] - 1]


def step_ratios(
    values: NDArray[np.float64],
    weight: NDArray[np.float64],
    batch: SessionBatch,
    discount: float,
    terms: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerators (n, m, terms) and denominators (n, 1, terms) of a self-normalised sum over steps.

    Each of the first ``terms - 1`` steps is a ratio of its own: its weighted values over its
    weights. A session that is over keeps its last weight, so every denominator has mean 1. The
    steps after those share the last ratio; its denominator is the discounted mean of their weights,
    the last one kept for ever, which has mean 1 too: (1 - discount) times the sum over k >= 0 of
    discount^k w_(terms - 1 + k); without discount that is the session's last weight.

    Args:
        values: float64, shape (S, m), discounted.
        weight: float64, shape (S,), weight of the session down to each step.
        batch: n sessions of S steps.
        discount: factor a step, in (0, 1].
        terms: how many ratios; fixed, so that shards can be merged.
    """
    n, own = len(batch), terms - 1
    session, step = rows(batch.offsets), batch.step
    numerator = np.zeros((n, values.shape[1], terms))
    denominator = np.repeat(last(weight, batch)[:, None], terms, axis=1)
    single = step < own
    numerator[session[single], :, step[single]] = weight[single, None] * values[single]
    denominator[session[single], step[single]] = weight[single]
    rest = np.where(single, 0.0, weight)
    numerator[:, :, own] = round_sum(rest[:, None] * values, batch.offsets)
    if discount < 1:
        left = np.maximum(batch.lengths - own, 0)
        faded = rest * np.power(discount, np.maximum(step - own, 0))
        mean = (1 - discount) * round_sum(faded, batch.offsets)
        denominator[:, own] = mean + np.power(discount, left) * last(weight, batch)
    return numerator, denominator[:, None, :]
