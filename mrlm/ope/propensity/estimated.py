"""Missing propensities: estimated, cross-fitted, calibrated and tested in one call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Offsets, gather, segment_log_softmax
from mrlm.bandit_log.users import group
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.propensity.calibrate import (
    CalibrationBin,
    calibration_table,
    fit_isotonic,
    fit_temperature,
)
from mrlm.ope.propensity.logit import fit_logit
from mrlm.ope.verdict.overlap import GroupOverlap, group_overlap

Floats = NDArray[np.float64]
CalibrationMethod = Literal["temperature", "isotonic", "none"]


@dataclass(frozen=True)
class EstimatedPropensities:
    """Propensities of n rounds with N candidates, of which some or all are estimates.

    Attributes:
        propensity: float64, shape (n,), of the shown item; the logged one where it is known.
        candidate_propensity: float64, shape (N,), of every candidate: estimates, which in rounds of
            known propensity share what that leaves.
        estimated: bool, shape (n,), where ``propensity`` is an estimate.
        log_loss: mean negative log of the estimates of the shown items, in nats, out of fold.
        uniform_log_loss: the same for equal chances; a useless model is no better.
        calibration: predicted against observed shares, out of fold.
        overlap: weights of the uniform policy under the estimates; a mean weight that is not 1
            says that small propensities are wrong.
    """

    propensity: Floats
    candidate_propensity: Floats
    estimated: NDArray[np.bool_]
    log_loss: float
    uniform_log_loss: float
    calibration: tuple[CalibrationBin, ...]
    overlap: GroupOverlap

    @property
    def any_estimated(self) -> bool:
        """Whether anything that uses these propensities must carry the flag."""
        return bool(self.estimated.any())

    def apply(self, batch: EvaluationBatch) -> EvaluationBatch:
        """The batch with these propensities; its scores go through ``flagged``."""
        return replace(
            batch, propensity=self.propensity, candidate_propensity=self.candidate_propensity
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, and the share of estimated rounds."""
        return {
            "estimated": self.any_estimated,
            "estimated_share": float(self.estimated.mean()),
            "log_loss": self.log_loss,
            "uniform_log_loss": self.uniform_log_loss,
            "calibration": [b.to_json() for b in self.calibration],
            "overlap": self.overlap.to_json(),
        }


def estimate_propensities(
    features: Floats,
    offsets: Offsets,
    shown: NDArray[np.int64],
    cluster: NDArray[Any],
    item: NDArray[np.int64] | None = None,
    known: Floats | None = None,
    *,
    ridge: float = 1.0,
    folds: int = 5,
    calibrate: CalibrationMethod = "temperature",
) -> EstimatedPropensities:
    """Propensities of a log that has none, or lacks some.

    A conditional logit over each candidate set (McFadden, 1974), with features of candidate and
    context and, where ``item`` is given, an intercept an item. Each round's propensities come from
    other users; so does their calibration, fitted on the out-of-fold predictions of other folds.

    Args:
        features: float64, shape (N, d), of every candidate in its context; may have no columns. A
            feature that is the same for all candidates of a round has no effect.
        offsets: int64, shape (n + 1,), of the candidate sets.
        shown: int64, shape (n,), flat position of the shown item.
        cluster: int64 or str, shape (n,), users.
        item: int64, shape (N,), code of each candidate's item, from 0.
        known: float64, shape (n,), logged propensities, NaN where missing; kept as they are.
        ridge: penalty, see ``fit_logit``.
        folds: of users; at least 2, with calibration at least 3.
        calibrate: ``temperature`` (one number, keeps the order), ``isotonic`` (any monotone map,
            needs many rounds), or ``none``.

    Raises:
        ValueError: shapes differ, something is not finite, or there are too few users or folds.
        RuntimeError: a model did not converge.
    """
    _check(features, offsets, shown, cluster, item, known)
    user = group(cluster)[1]
    least = 2 if calibrate == "none" else 3
    if folds < least or int(user.max()) + 1 < folds:
        raise ValueError(
            f"cross-fitting needs at least {least} folds and a user for each; got {folds} folds "
            f"and {int(user.max()) + 1} users"
        )
    fold = user % folds
    logits = _cross_fitted(features, offsets, shown, item, fold, ridge)
    probability = _calibrated(logits, offsets, shown, fold, calibrate)
    own = probability[shown]
    missing = np.ones(len(shown), np.bool_) if known is None else np.isnan(known)
    lengths = np.diff(offsets)
    return EstimatedPropensities(
        propensity=own if known is None else np.where(missing, own, known),
        candidate_propensity=probability
        if known is None
        else _fitted_to(known, probability, offsets, shown),
        estimated=missing,
        log_loss=-float(np.log(own).mean()),
        uniform_log_loss=float(np.log(lengths).mean()),
        calibration=calibration_table(probability, offsets, shown, cluster),
        overlap=group_overlap(1 / (lengths * own), cluster)[0],
    )


def _cross_fitted(
    features: Floats,
    offsets: Offsets,
    shown: NDArray[np.int64],
    item: NDArray[np.int64] | None,
    fold: NDArray[np.int64],
    ridge: float,
) -> Floats:
    """Logit of every candidate from the model that never saw the round's user, shape (N,)."""
    out = np.empty(len(features))
    items = 0 if item is None else int(item.max()) + 1
    for k in np.unique(fold):
        other, own = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        flat, part = gather(offsets, other)
        place = part[:-1] + (shown - offsets[:-1])[other]
        used = None if item is None else item[flat]
        model = fit_logit(features[flat], part, place, used, items, ridge)
        mine, _ = gather(offsets, own)
        out[mine] = model.logits(features[mine], None if item is None else item[mine])
    return out


def _calibrated(
    logits: Floats,
    offsets: Offsets,
    shown: NDArray[np.int64],
    fold: NDArray[np.int64],
    calibrate: CalibrationMethod,
) -> Floats:
    """Probability of every candidate, calibrated on other folds, shape (N,)."""
    raw = np.exp(segment_log_softmax(logits, offsets))
    if calibrate == "none":
        return raw
    out = np.empty(len(logits))
    for k in np.unique(fold):
        other, own = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        flat, part = gather(offsets, other)
        place = part[:-1] + (shown - offsets[:-1])[other]
        mine, mine_offsets = gather(offsets, own)
        if calibrate == "temperature":
            scaled = logits[mine] / fit_temperature(logits[flat], part, place)
            out[mine] = np.exp(segment_log_softmax(scaled, mine_offsets))
        else:
            out[mine] = fit_isotonic(raw[flat], place)(raw[mine], mine_offsets)
    return out


def _fitted_to(
    known: Floats, probability: Floats, offsets: Offsets, shown: NDArray[np.int64]
) -> Floats:
    """The estimates with the known propensities in place and the other candidates rescaled."""
    own = probability[shown]
    rest = np.divide(1 - known, 1 - own, out=np.ones(len(own)), where=own < 1)
    out: Floats = probability * np.repeat(np.where(np.isnan(known), 1.0, rest), np.diff(offsets))
    out[shown] = np.where(np.isnan(known), own, known)
    return out


def _check(
    features: Floats,
    offsets: Offsets,
    shown: NDArray[np.int64],
    cluster: NDArray[Any],
    item: NDArray[np.int64] | None,
    known: Floats | None,
) -> None:
    n = len(offsets) - 1
    if n < 1 or (np.diff(offsets) <= 0).any():
        raise ValueError("at least one round is needed, and no candidate set may be empty")
    total = int(offsets[-1])
    if features.ndim != 2 or len(features) != total:
        raise ValueError(
            f"features must have one row for each of {total} candidates; got {features.shape}"
        )
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(1))[0])
        raise ValueError(f"candidate {row}: a feature is not finite")
    wanted = {"shown": (shown, n), "cluster": (cluster, n), "known": (known, n)}
    for name, (array, size) in {**wanted, "item": (item, total)}.items():
        if array is not None and array.shape != (size,):
            raise ValueError(f"{name} must have shape ({size},); got {array.shape}")
    if ((shown < offsets[:-1]) | (shown >= offsets[1:])).any():
        raise ValueError("a shown item is not among its candidates")
    if item is not None and item.min() < 0:
        raise ValueError("item codes start at 0")
    if known is not None and not (np.isnan(known) | ((known > 0) & (known <= 1))).all():
        raise ValueError("known propensities must be in (0, 1], or NaN where missing")
