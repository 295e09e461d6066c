"""Marginal weights of codes that are drawn at random for each shown item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import gather, pieces
from mrlm.bandit_log.users import group
from mrlm.ope.batch import CANDIDATES_AT_ONCE, EvaluationBatch
from mrlm.ope.embedded.marginal_weights import MarginalWeight, check_length, logging_propensity

Codes = NDArray[np.int64]


def posterior_weight(
    batch: EvaluationBatch, item: Codes, code: Codes, folds: int = 10, strength: float = 0.5
) -> MarginalWeight:
    """Weights of observed codes whose distribution given the item is not known.

    ``w = sum_a p(a | x, e) target(a) / logging(a)`` over the candidates (Saito and Joachims, 2022,
    equation 10). The posterior is that of naive Bayes with the logger's own propensities as the
    prior, ``p(a | x, e)`` proportional to ``logging(a) prod_d p(e_d | a)``, so only the
    distribution of each code given the item is estimated (``code_shares``), from other users. The
    dimensions must be independent given the item. Target mass on items without a round among the
    other users counts as unsupported.

    Args:
        batch: n rounds with N candidates and their logging propensities.
        item: int64, shape (N,), code of each candidate's item, from 0.
        code: int64, shape (n, D), observed codes of the shown item in D dimensions, from 0.
        folds: of users; at least 2.
        strength: of the prior of ``code_shares``.

    Raises:
        ValueError: shapes differ, a candidate has no logging propensity, or there are fewer than
            two users or folds.
    """
    check_length(item, len(batch.target), "item", "candidates")
    if code.ndim != 2 or len(code) != len(batch) or code.min(initial=0) < 0:
        raise ValueError(
            f"code must be non-negative, of shape ({len(batch)}, dimensions); got {code.shape}"
        )
    user = group(batch.cluster)[1]
    if folds < 2 or user.max() < 1:
        raise ValueError(
            "code shares come from other users: at least two folds and two users are needed; got "
            f"{folds} and {int(user.max()) + 1}"
        )
    logging_propensity(batch)
    fold, shown = user % folds, item[batch.shown]
    items, codes = int(item.max()) + 1, code.max(0) + 1
    weight, unsupported = np.empty(len(batch)), np.empty(len(batch))
    for k in np.unique(fold):
        own, other = np.flatnonzero(fold == k), fold != k
        tables = [
            code_shares(shown[other], code[other, d], items, int(codes[d]), strength)
            for d in range(code.shape[1])
        ]
        unseen = np.bincount(shown[other], minlength=items) == 0
        flat, _ = gather(batch.offsets, own)
        part = batch.take(own)
        weight[own] = _weights(part, item[flat], code[own], tables)
        lost = np.where(unseen[item[flat]], part.target, 0.0)
        unsupported[own] = np.add.reduceat(lost, part.offsets[:-1])
    return MarginalWeight(weight, unsupported, True, "codes by naive Bayes")


def code_shares(
    item: Codes, code: Codes, items: int, codes: int, strength: float = 0.5
) -> NDArray[np.float64]:
    """Smoothed ``p(code | item)``, float64, shape (items, codes); rows sum to 1.

    Posterior mean under a Dirichlet prior with the pooled shares as its mean and ``strength``
    pseudo-rounds an item. The strength is small on purpose: the value is nearly linear in these
    shares and weighs few items heavily, so the noise of single shares averages out over rounds,
    while shrinkage towards the pool biases just the items that the target prefers. (The strength
    of largest marginal likelihood, best for a single share, is far too strong for the value.)

    Args:
        item: int64, shape (n,), shown items.
        code: int64, shape (n,), their codes.
        items: number of items.
        codes: number of codes.
        strength: pseudo-rounds an item, above 0.

    Raises:
        ValueError: the strength is not above 0.
    """
    if not strength > 0:
        raise ValueError(f"the strength must be above 0; got {strength}")
    count = np.bincount(item * codes + code, minlength=items * codes).reshape(items, codes)
    pooled = count.sum(0) + 1.0
    prior = strength * pooled / pooled.sum()
    shares: NDArray[np.float64] = (count + prior) / (count.sum(1, keepdims=True) + strength)
    return shares


def _weights(
    batch: EvaluationBatch, item: Codes, code: Codes, tables: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    logging = logging_propensity(batch)
    lengths, out = np.diff(batch.offsets), np.empty(len(batch))
    for start, stop in pieces(batch.offsets, CANDIDATES_AT_ONCE):
        low, high = int(batch.offsets[start]), int(batch.offsets[stop])
        likelihood = np.ones(high - low)
        for d, table in enumerate(tables):
            seen = np.repeat(code[start:stop, d], lengths[start:stop])
            likelihood *= table[item[low:high], seen]
        at = batch.offsets[start:stop] - low
        target = np.add.reduceat(batch.target[low:high] * likelihood, at)
        out[start:stop] = target / np.add.reduceat(logging[low:high] * likelihood, at)
    return out
