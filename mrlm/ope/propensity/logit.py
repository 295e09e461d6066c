"""The conditional logit: probabilities of candidates from their features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Offsets, segment_log_softmax

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ConditionalLogit:
    """Softmax over each candidate set of ``features @ coefficients + intercepts[item]``.

    Attributes:
        coefficients: float64, shape (d,).
        intercepts: float64, shape (K,), one an item; empty without items.
    """

    coefficients: Floats
    intercepts: Floats

    def logits(self, features: Floats, item: NDArray[np.int64] | None) -> Floats:
        """Logit of every candidate, float64, shape (N,)."""
        out: Floats = features @ self.coefficients
        return out if item is None else out + self.intercepts[item]


def fit_logit(
    features: Floats,
    offsets: Offsets,
    shown: NDArray[np.int64],
    item: NDArray[np.int64] | None = None,
    items: int = 0,
    ridge: float = 1.0,
) -> ConditionalLogit:
    """Maximum penalised likelihood of the shown items; McFadden (1974).

    Args:
        features: float64, shape (N, d), of every candidate in its context; may have no columns.
        offsets: int64, shape (n + 1,), of the candidate sets.
        shown: int64, shape (n,), flat position of the shown item.
        item: int64, shape (N,), codes below ``items``; None for no intercepts.
        items: number of items.
        ridge: half of it times the squared norm is added to the negative log likelihood;
            coefficients are penalised on the scale of standardised features.

    Raises:
        RuntimeError: the optimiser did not converge.
    """
    from scipy.optimize import minimize

    d, n = features.shape[1], len(shown)
    scale = features.std(0) if len(features) else np.ones(d)
    scale = np.where(scale > 0, scale, 1.0)
    scaled = features / scale

    def loss(theta: Floats) -> tuple[float, Floats]:
        logits = scaled @ theta[:d]
        if item is not None:
            logits = logits + theta[d:][item]
        log_p = segment_log_softmax(logits, offsets)
        # Probability minus indicator of the shown item: the gradient with respect to the logits.
        residual = np.exp(log_p)
        residual[shown] -= 1.0
        gradient = [scaled.T @ residual]
        if item is not None:
            gradient.append(np.bincount(item, residual, items).astype(np.float64))
        value = -log_p[shown].sum() + ridge / 2 * (theta @ theta)
        return float(value) / n, (np.concatenate(gradient) + ridge * theta) / n

    size = d + (items if item is not None else 0)
    found = minimize(
        loss,
        np.zeros(size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-7},
    )
    if not found.success:
        raise RuntimeError(
            f"the propensity model did not converge ({found.message}); scale the features or "
            "raise the ridge"
        )
    theta = np.asarray(found.x, np.float64)
    return ConditionalLogit(theta[:d] / scale, theta[d:])
