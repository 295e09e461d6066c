"""Fitted Q evaluation with linear features, for stochastic policies over candidate sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows
from mrlm.bandit_log.users import group
from mrlm.ope.grouped.grouped import expectation
from mrlm.ope.sequential.batch import SessionBatch
from mrlm.ope.sequential.steps import check_discount

_TOLERANCE = 1e-10


@dataclass(frozen=True)
class FittedQMoments:
    """Sums over steps that fitted Q evaluation needs; they add up over logs.

    Attributes:
        square: float64, shape (m, d, d), sum of x x' over shown actions with features x.
        reward: float64, shape (m, d), sum of x times the reward.
        following: float64, shape (m, d, d), sum of x y', y the expected features of the next step
            under the target policy, 0 after a session that ended.
    """

    square: NDArray[np.float64]
    reward: NDArray[np.float64]
    following: NDArray[np.float64]

    def __add__(self, other: FittedQMoments) -> FittedQMoments:
        return FittedQMoments(
            self.square + other.square,
            self.reward + other.reward,
            self.following + other.following,
        )


def fit_q(
    batch: SessionBatch,
    features: NDArray[np.float64],
    discount: float = 1.0,
    ridge: float = 1.0,
    sweeps: int = 10_000,
) -> NDArray[np.float64]:
    """Coefficients of q = features @ coefficients for the target policy, shape (d, m).

    See ``solve`` and ``moments``. Predictions for an estimator must come from other users:
    ``cross_fitted_q``.

    Raises:
        ValueError: the batch lacks candidates or their target probabilities, or see ``solve``.
    """
    everyone = np.zeros(len(batch), np.int64)
    return solve(moments(batch, features, everyone, 1)[0], discount, ridge, sweeps)


def cross_fitted_q(
    batch: SessionBatch,
    features: NDArray[np.float64],
    discount: float = 1.0,
    ridge: float = 1.0,
    folds: int = 2,
    sweeps: int = 10_000,
) -> NDArray[np.float64]:
    """Q of every candidate, shape (N, m), from coefficients fitted on the other folds of users.

    Raises:
        ValueError: there are fewer users than folds, or as for ``fit_q``.
    """
    users, code = group(batch.cluster)
    if len(users) < folds or folds < 2:
        raise ValueError(
            f"cross-fitting needs 2 to {len(users)} folds, one user a fold; got {folds}"
        )
    fold = code % folds
    parts = moments(batch, features, fold, folds)
    step_offsets, _, _ = _candidates(batch)
    of_candidate = fold[rows(batch.offsets)][rows(step_offsets)]
    out = np.empty((len(features), len(batch.objectives)))
    for k in range(folds):
        others = [p for i, p in enumerate(parts) if i != k]
        total = others[0]
        for p in others[1:]:
            total = total + p
        mine = of_candidate == k
        out[mine] = features[mine] @ solve(total, discount, ridge, sweeps)
    return out


def moments(
    batch: SessionBatch, features: NDArray[np.float64], fold: NDArray[np.int64], folds: int
) -> list[FittedQMoments]:
    """Moments of each fold of sessions.

    The last step of a session that did not end has no known next state and is left out; so is a
    step whose reward is unknown, for that objective.

    Args:
        batch: n sessions with candidates and their target probabilities.
        features: float64, shape (N, d), of every candidate in its state.
        fold: int64, shape (n,), fold of each session.
        folds: number of folds.

    Raises:
        ValueError: the batch lacks candidates or their target probabilities.
    """
    step_offsets, shown, target = _candidates(batch)
    if features.ndim != 2 or len(features) != len(target):
        raise ValueError(f"features must have {len(target)} rows; got {features.shape}")
    end = batch.offsets[1:] - 1
    x = features[shown]
    expected = expectation(target, features, step_offsets)
    following = np.concatenate([expected[1:], np.zeros((1, features.shape[1]))])
    following[end] = 0.0
    complete = np.ones(len(x), np.bool_)
    if batch.terminal is not None:
        complete[end] = batch.terminal
    of_step = fold[rows(batch.offsets)]
    found = []
    for k in range(folds):
        square, reward, forward = [], [], []
        for j in range(len(batch.objectives)):
            kept = complete & (of_step == k) & ~np.isnan(batch.rewards[:, j])
            square.append(x[kept].T @ x[kept])
            reward.append(x[kept].T @ batch.rewards[kept, j])
            forward.append(x[kept].T @ following[kept])
        found.append(FittedQMoments(np.array(square), np.array(reward), np.array(forward)))
    return found


def solve(
    found: FittedQMoments, discount: float, ridge: float, sweeps: int = 10_000
) -> NDArray[np.float64]:
    """Fixed point of fitted Q iteration, coefficients of shape (d, m).

    Each sweep regresses ``reward + discount * expected q of the next step`` on the features of the
    shown action, with a ridge penalty: ``(X'X + ridge I) theta' = X'r + discount X'Y theta``.

    Raises:
        ValueError: the discount is not in (0, 1], the ridge is negative, or the sweeps do not
            converge.
    """
    check_discount(discount)
    if ridge < 0:
        raise ValueError(f"the ridge penalty must not be negative; got {ridge}")
    d = found.square.shape[1]
    out = np.empty((d, len(found.square)))
    for j, square in enumerate(found.square):
        # The pseudo-inverse gives features that were never shown a coefficient of 0.
        inverse = np.linalg.pinv(square + ridge * np.eye(d), hermitian=True)
        constant, step = inverse @ found.reward[j], discount * inverse @ found.following[j]
        theta = np.zeros(d)
        change = 0.0
        for _ in range(sweeps):
            with np.errstate(over="ignore", invalid="ignore"):
                moved = constant + step @ theta
                change = float(np.abs(moved - theta).max(initial=0.0))
            theta = moved
            if not np.isfinite(change) or change <= _TOLERANCE * (1 + np.abs(theta).max(initial=0)):
                break
        if not change <= _TOLERANCE * (1 + np.abs(theta).max(initial=0)):
            raise ValueError(
                f"fitted Q evaluation did not converge in {sweeps} sweeps for objective {j}: "
                f"the last change is {change:.3g}; lower the discount, raise the ridge penalty or "
                "use other features"
            )
        out[:, j] = theta
    return out


def _candidates(
    batch: SessionBatch,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    if batch.step_offsets is None or batch.shown is None or batch.target is None:
        raise ValueError(
            "fitted Q evaluation needs step_offsets, shown, and the target probability of every "
            "candidate"
        )
    return batch.step_offsets, batch.shown, batch.target
