"""What clipping, shrinking and switching leave out, bounded by the range of the rewards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import pieces
from mrlm.ope.batch import CANDIDATES_AT_ONCE, EvaluationBatch
from mrlm.ope.checks import RowError
from mrlm.ope.choice.bounded import between
from mrlm.ope.estimators.shrinking import ShrinkingEstimator
from mrlm.ope.estimators.switch import Switch
from mrlm.ope.scores import Scores

Floats = NDArray[np.float64]


def shrinkage_bounds(
    estimator: ShrinkingEstimator | Switch,
    batch: EvaluationBatch,
    lowest: Floats,
    highest: Floats,
) -> tuple[Scores, Scores]:
    """Scores of the lowest and of the highest value that rewards of a known range allow.

    With ``c(a) = target(a) - propensity(a) weights(w(a))``, what the shrunken weights leave out of
    candidate a, the value is the estimator's expectation plus ``sum_a c(a) (r(a) - q(a))``, q = 0
    for IPS, and r is in its range: clipped IPS misses between ``lowest`` and ``highest`` times
    E[(w - clip)+] (Ionides, 2008; Bottou et al., 2013). Where every candidate's propensity is
    logged the sum is exact in each context, even over candidates that are never shown, and the
    verdict looks at the weights ``weights(w) + sum_a c(a)``, which have mean 1 and are bounded.
    Otherwise the sum is estimated from the shown item, and the verdict looks at w.

    States of both scores go to ``mrlm.ope.bounded_estimates``.

    Args:
        estimator: clipped IPS, DR with optimistic or pessimistic shrinkage, sub-Gaussian IPS or DR,
            Switch or Switch-DR.
        batch: n rounds of m objectives.
        lowest: float64, shape (m,), least reward that can be, never the least that was seen.
        highest: float64, shape (m,), largest reward that can be.

    Raises:
        ValueError: a range is empty or a reward is outside of it, or as for the estimator.
    """
    _check_range(batch, lowest, highest)
    scores, weights = estimator(batch), _weights(estimator)
    kept = weights(batch.weight)
    logged = batch.candidate_propensity
    if logged is None or np.isnan(logged).any():
        left = (batch.weight - kept)[:, None]
        q = batch.shown_predictions if estimator.needs_q else 0.0
        ends = left * (lowest - q), left * (highest - q)
        low, high = between(scores, np.minimum(*ends), np.maximum(*ends))
        return low, high
    found = _left_out(batch, weights, logged, estimator.needs_q, lowest, highest)
    # A round of no kept weight tells nothing of its reward, whatever is added to all rounds.
    seen = replace(
        scores,
        nonzero=scores.nonzero & (kept > 0)[:, None],
        weight=(kept + found.mass)[:, None],
        unsupported=np.zeros_like(scores.unsupported),
        expected_square=found.square[:, None],
    )
    return between(seen, found.low, found.high)


@dataclass(frozen=True)
class _LeftOut:
    """Of every context: the mass c, the move of the value, the expected squared weight.

    Attributes:
        mass: float64, shape (n,), sum of c.
        low: float64, shape (n, m).
        high: float64, shape (n, m).
        square: float64, shape (n,), of the weight that is kept plus the mass.
    """

    mass: Floats
    low: Floats
    high: Floats
    square: Floats


def _left_out(
    batch: EvaluationBatch,
    weights: Callable[[Floats], Floats],
    logged: Floats,
    with_q: bool,
    lowest: Floats,
    highest: Floats,
) -> _LeftOut:
    n, m = len(batch), len(batch.objectives)
    mass, square = np.empty(n), np.empty(n)
    low, high = np.empty((n, m)), np.empty((n, m))
    for start, stop in pieces(batch.offsets, CANDIDATES_AT_ONCE):
        own = slice(int(batch.offsets[start]), int(batch.offsets[stop]))
        at = batch.offsets[start:stop] - own.start
        target, chance = batch.target[own], logged[own]
        shown = chance > 0
        weight = np.divide(target, chance, out=np.zeros_like(target), where=shown)
        kept = np.where(shown, weights(weight), 0.0)
        left = target - chance * kept
        mass[start:stop] = np.add.reduceat(left, at)
        # Variance of the kept weight; with the mass its mean is 1.
        first, second = (np.add.reduceat(chance * x, at) for x in (kept, kept**2))
        square[start:stop] = second - first**2 + 1.0
        for j in range(m):
            q = batch.predictions[own, j] if with_q else 0.0
            ends = left * (lowest[j] - q), left * (highest[j] - q)
            low[start:stop, j] = np.add.reduceat(np.minimum(*ends), at)
            high[start:stop, j] = np.add.reduceat(np.maximum(*ends), at)
    return _LeftOut(mass, low, high, square)


def _weights(estimator: ShrinkingEstimator | Switch) -> Callable[[Floats], Floats]:
    if not isinstance(estimator, Switch):
        return estimator.weights
    threshold = estimator.threshold
    return lambda weight: np.where(weight <= threshold, weight, 0.0)


def _check_range(batch: EvaluationBatch, lowest: Floats, highest: Floats) -> None:
    m = len(batch.objectives)
    if lowest.shape != (m,) or highest.shape != (m,):
        raise ValueError(
            f"lowest and highest need one number an objective, shape ({m},); got {lowest.shape} "
            f"and {highest.shape}"
        )
    if not (np.isfinite([lowest, highest]).all() and (lowest < highest).all()):
        raise ValueError(
            f"a range needs finite lowest < highest; got {lowest.tolist()} and {highest.tolist()}"
        )
    outside = (batch.rewards < lowest) | (batch.rewards > highest)
    if outside.any():
        row, j = (int(k[0]) for k in np.nonzero(outside))
        raise RowError(
            row,
            f"{batch.objectives[j]} is {batch.rewards[row, j]:g}, outside its range "
            f"{lowest[j]:g} to {highest[j]:g}: give the range that rewards can have",
        )
