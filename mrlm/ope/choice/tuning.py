"""Shrinkage, clip and threshold parameters chosen in one pass over the candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import pieces
from mrlm.bandit_log.users import group
from mrlm.ope.batch import CANDIDATES_AT_ONCE, EvaluationBatch
from mrlm.ope.choice.selection import least_bound
from mrlm.ope.estimators.shrinking import ShrinkingEstimator, parts
from mrlm.ope.estimators.switch import Switch
from mrlm.ope.rounds import Rounds

T = TypeVar("T", bound=ShrinkingEstimator | Switch)


def tune(batch: Rounds, family: Sequence[T], level: float = 0.95) -> dict[str, T]:
    """The member chosen for each objective, for this policy; nothing is kept between calls.

    The one whose squared error has the least bound (``selection.least_bound``): the bias of each is
    bounded by its distance from the first, over the same rounds.

    Args:
        batch: rounds of users, or nights, on which the chosen member is not judged; with their
            candidates, an ``EvaluationBatch``, for Switch.
        family: one kind of estimator, from the least shrinkage to the most; the first should have
            none, since what the others leave out is measured against it.
        level: two-sided level of the intervals of these distances.

    Raises:
        ValueError: the family is empty or of several kinds, fewer than two users have a known
            reward, or the batch lacks the predictions or propensities that the family needs.
    """
    from scipy.special import ndtri

    value, error, apart = _swept(batch, family)
    chosen = least_bound(value, error, apart, float(ndtri((1 + level) / 2)))
    return {name: family[i] for name, i in zip(batch.objectives, chosen.tolist(), strict=True)}


def sweep(
    batch: Rounds, family: Sequence[ShrinkingEstimator | Switch]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and user-clustered standard errors of all members, each float64, shape (k, m).

    Both are those of the members' own scores. The expectations over candidates do not depend on the
    parameter, or, with Switch, are those of the next threshold less what lies between, and are
    taken once; each member costs one scan of the n rounds.

    Raises:
        ValueError: as for ``tune``.
    """
    value, error, _ = _swept(batch, family)
    return value, error


def _swept(
    batch: Rounds, family: Sequence[ShrinkingEstimator | Switch]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What ``sweep`` gives, and the standard errors of the differences from the first member."""
    if len({type(e) for e in family}) != 1:
        raise ValueError("tuning needs one or more members of one kind of estimator")
    _, user = group(batch.cluster)
    value = np.full((len(family), len(batch.objectives)), np.nan)
    error, apart = value.copy(), value.copy()
    for j, name in enumerate(batch.objectives):
        used = batch.used[:, j]
        present, code = np.unique(user[used], return_inverse=True)
        users, rows = len(present), len(code)
        if users < 2:
            raise ValueError(f"{name}: tuning needs two users with a known reward; got {users}")
        counts = np.bincount(code, minlength=users)
        first = np.zeros(users)
        for i, score in enumerate(_scores(batch, family, j)):
            own = score[used]
            value[i, j] = own.mean()
            influence = np.bincount(code, weights=own, minlength=users) - value[i, j] * counts
            first = influence if i == 0 else first
            for out, part in ((error, influence), (apart, influence - first)):
                out[i, j] = np.sqrt(users / (users - 1) * (part @ part)) / rows
    return value, error, apart


def _scores(
    batch: Rounds, family: Sequence[ShrinkingEstimator | Switch], j: int
) -> Iterator[NDArray[np.float64]]:
    """Scores of every member for one objective, each of shape (n,)."""
    switches = [e for e in family if isinstance(e, Switch)]
    if switches:
        if not isinstance(batch, EvaluationBatch):
            raise ValueError("switch needs every candidate; use switch_dr where a log has none")
        yield from _switched(batch, [e.threshold for e in switches], j)
        return
    shrinking = [e for e in family if not isinstance(e, Switch)]
    offset, residual = parts(batch, shrinking[0].needs_q)
    a, b = offset[:, j], residual[:, j]
    for member in shrinking:
        yield a + member.weights(batch.weight) * b


def _switched(
    batch: EvaluationBatch, thresholds: Sequence[float], j: int
) -> Iterator[NDArray[np.float64]]:
    """Scores of Switch at many thresholds, the candidates sorted into them once."""
    ascending = np.unique(np.asarray(thresholds, np.float64))
    above = _direct_above(batch, ascending, j)
    logged = batch.candidate_propensity
    assert logged is not None  # noqa: S101 (_direct_above raises otherwise)
    passed = _passed(batch.target[batch.shown], logged[batch.shown], ascending)
    for threshold in thresholds:
        at = int(np.searchsorted(ascending, threshold))
        kept = np.where(passed > at, 0.0, batch.weight)
        yield above[:, at] + kept * batch.rewards[:, j]


def _direct_above(
    batch: EvaluationBatch, ascending: NDArray[np.float64], j: int
) -> NDArray[np.float64]:
    """Predicted reward over the candidates whose weight is above each threshold, shape (n, k).

    Raises:
        ValueError: predictions or a candidate's logging probability are missing.
    """
    predictions, logged = batch.predictions, batch.candidate_propensity
    if logged is None or np.isnan(logged).any():
        raise ValueError(
            "switch needs the logging probability of every candidate; give "
            "candidate_propensity, or use switch_dr"
        )
    n, k = len(batch), len(ascending)
    out = np.empty((n, k))
    lengths = np.diff(batch.offsets)
    for start, stop in pieces(batch.offsets, CANDIDATES_AT_ONCE):
        own = slice(int(batch.offsets[start]), int(batch.offsets[stop]))
        target = batch.target[own]
        passed = _passed(target, logged[own], ascending)
        row = np.repeat(np.arange(stop - start), lengths[start:stop])
        cells = np.bincount(
            row * (k + 1) + passed, target * predictions[own, j], (stop - start) * (k + 1)
        ).reshape(-1, k + 1)
        # A candidate that passed i thresholds counts for the first i of them.
        out[start:stop] = np.cumsum(cells[:, :0:-1], axis=1)[:, ::-1]
    return out


def _passed(
    target: NDArray[np.float64], chance: NDArray[np.float64], ascending: NDArray[np.float64]
) -> NDArray[np.int64]:
    """How many thresholds each weight is above, int64, of the candidates' shape."""
    weight = np.divide(target, chance, out=np.zeros_like(target), where=chance > 0)
    # Never shown: above every threshold, unless the target does not show it either.
    weight[(chance <= 0) & (target > 0)] = np.inf
    return np.searchsorted(ascending, weight, side="left")
