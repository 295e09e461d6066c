"""Probabilities next to a policy's under which no item is expected more often than it may be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from mrlm.bandit_log.ragged import rows, segment_sum

# What a request weighs being shown nothing against all of its candidates together, where every
# candidate has a quota: it makes any quotas possible, and is drawn where they leave nothing else.
_NOTHING = 1e-9
# Above it a price moves nothing that could be seen.
_HIGHEST_PRICE = 60.0


def shares_within_quotas(
    probability: NDArray[np.float64],
    offsets: NDArray[np.int64],
    item: NDArray[np.int64],
    most: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Probabilities with sums over requests of at most ``most``, float64, shape (N,).

    Of all those they are the nearest in Kullback-Leibler divergence to the given ones, which are
    p(a) exp(-price(a)) / normaliser with one price an item, 0 where its quota does not bind. Prices
    solve the concave dual (Csiszar, "I-divergence geometry of probability distributions and
    minimization problems", Annals of Probability 1975).

    A row sums to 1, or to less where its candidates have no room left: it is shown nothing then.

    Args:
        probability: of every candidate, shape (N,); each row's sum to 1.
        offsets: of the rows, shape (n + 1,).
        item: code of every candidate, shape (N,).
        most: how often each item may be shown in all, shape (items,); infinite without a quota.
    """
    of = most[item]
    weight = np.where(of > 0, probability, 0.0)
    limited = np.isfinite(of)
    names, code = np.unique(item[limited], return_inverse=True)
    if not len(names):
        return weight
    row, quota = rows(offsets), most[names]
    nothing = np.where(segment_sum(np.where(limited, 0.0, weight), offsets) > 0, 0.0, _NOTHING)

    def shares(price: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        raised = weight.copy()
        raised[limited] *= np.exp(-price[code])
        total = segment_sum(raised, offsets) + nothing
        return raised / np.where(total > 0, total, 1.0)[row], total

    def dual(price: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        share, total = shares(price)
        expected = np.bincount(code, weights=share[limited], minlength=len(names))
        return float(np.log(total[total > 0]).sum() + price @ quota), quota - expected

    found = minimize(
        dual,
        np.zeros(len(names)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, _HIGHEST_PRICE)] * len(names),
        options={"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9 * max(len(offsets) - 1, 1)},
    )
    share, _ = shares(found.x)
    # What a solver leaves above a quota is shown to nobody.
    expected = np.bincount(code, weights=share[limited], minlength=len(names))
    kept = np.minimum(1.0, quota / np.maximum(expected, 1e-300))
    share[limited] *= kept[code]
    return np.asarray(share, np.float64)
