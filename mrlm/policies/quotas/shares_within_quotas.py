"""Probabilities next to a policy's under which items are expected as often as they have to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from mrlm.bandit_log.ragged import rows, segment_sum
from mrlm.policies.quotas.quotas import Quotas

# What a candidate weighs that a policy all but excludes: more than nothing.
_LEAST = 1e-9
# What a request weighs being shown nothing, where every candidate may be shown so often alone: it
# makes any limits possible, and is drawn where they leave nothing else.
_NOTHING = 1e-100
# The most a price may be: of an upper limit as much as makes nothing the likeliest by far, of a
# lower one as much as makes an item or group certain, and no more where it is out of reach.
_DEAREST, _CHEAPEST = 300.0, 40.0
# Asked for beyond a lower limit, in shows: what the solver may leave out.
_SPARE = 1e-3


def shares_within_quotas(
    probability: NDArray[np.float64],
    offsets: NDArray[np.int64],
    item: NDArray[np.int64],
    quotas: Quotas,
) -> NDArray[np.float64]:
    """Probabilities whose sums over requests keep to the quotas, float64, shape (N,).

    Of all those they are the nearest in Kullback-Leibler divergence to the given ones, which are
    p(a) exp(-price(a)) / normaliser; the price is that of the item's upper limit less those of its
    and its group's lower limits, each 0 where its limit does not bind. Prices solve the concave
    dual (Csiszar, "I-divergence geometry of probability distributions and minimization problems",
    Annals of Probability 1975). What a policy gives less than 1e-9 counts as 1e-9 here.

    A row sums to 1, or to less where its candidates have no room left: it is shown nothing then.
    A lower limit out of reach is come near to as far as upper ones allow.

    Args:
        probability: of every candidate, shape (N,); each row's sum to 1.
        offsets: of the rows, shape (n + 1,).
        item: code of every candidate, shape (N,).
        quotas: of the items.
    """
    of = quotas.most[item]
    weight = np.where(of > 0, np.maximum(probability, _LEAST), 0.0)
    limits = _limits(item, quotas)
    if not limits:
        return np.where(of > 0, probability, 0.0)
    row = rows(offsets)
    free = segment_sum(np.where(np.isinf(of), weight, 0.0), offsets) > 0
    nothing = np.where(free, 0.0, _NOTHING)
    ends = np.cumsum([len(limit.bound) for limit in limits])[:-1]
    signed = np.concatenate([limit.sign * limit.bound for limit in limits])

    def shares(price: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        raised = np.zeros(len(item))
        for limit, own in zip(limits, np.split(price, ends), strict=True):
            raised[limit.candidate] -= limit.sign * own[limit.code]
        raised = weight * np.exp(raised)
        total = segment_sum(raised, offsets) + nothing
        return raised / np.where(total > 0, total, 1.0)[row], total

    def dual(price: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        share, total = shares(price)
        expected = np.concatenate([limit.sign * limit.expected(share) for limit in limits])
        return float(np.log(total[total > 0]).sum() + price @ signed), signed - expected

    found = minimize(
        dual,
        np.zeros(len(signed)),
        jac=True,
        method="L-BFGS-B",
        bounds=[
            (0.0, _DEAREST if limit.sign > 0 else _CHEAPEST)
            for limit in limits
            for _ in limit.bound
        ],
        options={"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9 * max(len(offsets) - 1, 1)},
    )
    share, _ = shares(found.x)
    upper = limits[0]
    if upper.sign > 0:
        # What a solver leaves above a quota is shown to nobody.
        expected = upper.expected(share)
        over = expected > upper.bound
        kept = np.where(over, (1 - 1e-15) * upper.bound / np.where(over, expected, 1.0), 1.0)
        share[upper.candidate] *= kept[upper.code]
    return np.asarray(share, np.float64)


@dataclass(frozen=True)
class _Limit:
    """Limits of one kind: candidates that count, for which of them each does, and the bounds.

    ``sign`` is 1 of upper limits, -1 of lower ones.
    """

    sign: float
    candidate: NDArray[np.int64]
    code: NDArray[np.int64]
    bound: NDArray[np.float64]

    def expected(self, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected shows by limit."""
        return np.bincount(self.code, share[self.candidate], len(self.bound)).astype(np.float64)


def _limits(item: NDArray[np.int64], quotas: Quotas) -> list[_Limit]:
    """The limits that some candidate counts for, upper ones first."""
    group = quotas.group[item]
    kinds = [
        (1.0, item, np.isfinite(quotas.most[item]), quotas.most),
        (-1.0, item, quotas.least[item] > 0, quotas.least + _SPARE),
        (-1.0, group, quotas.least_of_group[group] > 0, quotas.least_of_group + _SPARE),
    ]
    found = []
    for sign, of, counts, bound in kinds:
        candidate = np.flatnonzero(counts)
        names, code = np.unique(of[candidate], return_inverse=True)
        if len(names):
            found.append(_Limit(sign, candidate, code, bound[names]))
    return found
