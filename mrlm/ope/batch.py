"""EvaluationBatch: logged rounds as an estimator sees them, checked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import gather, pieces, rows
from mrlm.ope.checks import check_cluster, check_objectives, check_rows, check_shape

# Bounds the temporary arrays of sums over candidates, whatever the size of the log; two megabytes
# an array stay in the processor's cache, and make few enough pieces.
CANDIDATES_AT_ONCE = 1 << 18

_NO_PREDICTIONS = (
    "this estimator needs predicted rewards q of every candidate; give a reward model, "
    "or use ips or snips"
)


@dataclass(frozen=True)
class EvaluationBatch:
    """n logged decisions, N candidates in all, m objectives, and one target policy.

    Attributes:
        cluster: user of each decision, int64 or str, shape (n,): the unit of independence.
        offsets: int64, shape (n + 1,), offsets of the candidate sets; none is empty.
        target: float64, shape (N,), probability of every candidate under the target policy.
        shown: int64, shape (n,), flat position of the shown item among all candidates.
        propensity: float64, shape (n,), in (0, 1], probability with which it was shown.
        rewards: float64, shape (n, m); NaN where unknown, and the row is then not used for that
            objective.
        objectives: m names.
        q: float64, shape (N, m), predicted reward of every candidate; None without a reward model.
            The model must not have been fitted on these users' rewards.
        candidate_propensity: float64, shape (N,), logging probability of every candidate, NaN where
            it was not logged; None when no row has it. Used for the support diagnostic and the
            effective sample size that is to be expected.
        policy: name of the target policy, for tables and reasons.
        features: float64, shape (N, d), of every candidate in its context, for the estimators that
            fit a model of their own (``mrdr``, ``balanced_ipw``); None without.

    Raises:
        ValueError: shapes, ranges or sums are wrong; the message names the first bad row.

    Examples:
        >>> import numpy as np
        >>> from mrlm import EvaluationBatch
        >>> batch = EvaluationBatch(
        ...     cluster=np.array(["ann", "bob"]),
        ...     offsets=np.array([0, 2, 5]),
        ...     target=np.array([0.5, 0.5, 0.2, 0.2, 0.6]),
        ...     shown=np.array([1, 4]),
        ...     propensity=np.array([0.25, 0.6]),
        ...     rewards=np.array([[1.0], [0.0]]),
        ...     objectives=("click",),
        ... )
        >>> batch.weight.tolist()
        [2.0, 1.0]
    """

    cluster: NDArray[Any]
    offsets: NDArray[np.int64]
    target: NDArray[np.float64]
    shown: NDArray[np.int64]
    propensity: NDArray[np.float64]
    rewards: NDArray[np.float64]
    objectives: tuple[str, ...]
    q: NDArray[np.float64] | None = None
    candidate_propensity: NDArray[np.float64] | None = None
    policy: str = "policy"
    features: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_values(self)

    def __len__(self) -> int:
        return len(self.propensity)

    @classmethod
    def from_log(
        cls,
        log: BanditLog,
        target: NDArray[np.float64],
        q: NDArray[np.float64] | None = None,
        policy: str = "policy",
        features: NDArray[np.float64] | None = None,
    ) -> EvaluationBatch:
        """The rounds of a bandit log under a target policy; rewards not yet final are unknown.

        Args:
            log: n decisions with N candidates in all.
            target: probability of every candidate, shape (N,).
            q: predicted rewards, shape (N, m), in the order of the log's objectives.
            policy: name of the target policy.
            features: of every candidate, shape (N, d).

        Raises:
            ValueError: as for the class.
        """
        return cls(
            cluster=log.decisions.user,
            offsets=log.decisions.offsets,
            target=target,
            shown=log.shown,
            propensity=log.propensity,
            rewards=np.where(log.final, log.rewards, np.nan),
            objectives=tuple(o.name for o in log.objectives),
            q=q,
            candidate_propensity=log.candidate_propensity,
            policy=policy,
            features=features,
        )

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """Importance weight target / propensity of the shown item, float64, shape (n,)."""
        return self._pass.shown / self.propensity

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """Where the reward is known, bool, shape (n, m)."""
        return ~np.isnan(self.rewards)

    @property
    def direct(self) -> NDArray[np.float64]:
        """Predicted reward under the target policy, sum of target times q, float64, shape (n, m).

        Raises:
            ValueError: the batch has no predictions.
        """
        return self._with_q.direct

    @property
    def shown_predictions(self) -> NDArray[np.float64]:
        """Predicted reward of the shown item, float64, shape (n, m).

        Raises:
            ValueError: the batch has no predictions.
        """
        return self._with_q.shown_q

    @property
    def _with_q(self) -> _Pass:
        if self.q is None:
            raise ValueError(_NO_PREDICTIONS)
        return self._pass

    @cached_property
    def _pass(self) -> _Pass:
        """What all candidates say, read once: it is both checked and used."""
        return _pass_over(self.target, self.q, self.shown, self.offsets)

    @cached_property
    def expected_features(self) -> NDArray[np.float64]:
        """Mean features under the target policy, sum of target times features, shape (n, d).

        Raises:
            ValueError: the batch has no features.
        """
        if self.features is None:
            raise ValueError(
                "this estimator needs features of every candidate; give the batch features of "
                "shape (candidates, d)"
            )
        return self._expected(self.features)

    def _expected(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of target times each column of values (N, k), shape (n, k)."""
        out = np.empty((len(self), values.shape[1]))
        for j in range(values.shape[1]):
            out[:, j] = _sums(np.multiply, self.target, values[:, j], self.offsets)
        return out

    @property
    def predictions(self) -> NDArray[np.float64]:
        """The predicted rewards ``q``.

        Raises:
            ValueError: the batch has no predictions.
        """
        if self.q is None:
            raise ValueError(_NO_PREDICTIONS)
        return self.q

    @cached_property
    def unsupported(self) -> NDArray[np.float64]:
        """Target mass on candidates the logger never shows, float64, shape (n,); NaN if unknown."""
        if self.candidate_propensity is None:
            return np.broadcast_to(np.nan, len(self))
        never = np.where(
            np.isnan(self.candidate_propensity), np.nan, self.candidate_propensity <= 0.0
        )
        return _sums(np.multiply, self.target, never, self.offsets)

    @cached_property
    def expected_square(self) -> NDArray[np.float64]:
        """Expected squared weight, ``sum of target^2 / propensity``, shape (n,); NaN if unknown.

        The expectation is over the logger's choice in each round; candidates that it never shows
        are ``unsupported`` instead.
        """
        logged = self.candidate_propensity
        if logged is None:
            return np.broadcast_to(np.nan, len(self))
        return _sums(_squared_over, self.target, logged, self.offsets)

    def with_target(self, target: NDArray[np.float64], policy: str) -> EvaluationBatch:
        """The same rounds under another target policy, probabilities of shape (N,)."""
        return replace(self, target=target, policy=policy)

    def take(self, index: NDArray[np.int64]) -> EvaluationBatch:
        """The rounds at ``index``, in that order."""
        flat, offsets = gather(self.offsets, index)
        logged = self.candidate_propensity
        return replace(
            self,
            cluster=self.cluster[index],
            offsets=offsets,
            target=self.target[flat],
            shown=offsets[:-1] + (self.shown - self.offsets[:-1])[index],
            propensity=self.propensity[index],
            rewards=self.rewards[index],
            q=None if self.q is None else self.q[flat],
            candidate_propensity=None if logged is None else logged[flat],
            features=None if self.features is None else self.features[flat],
        )


@dataclass(frozen=True)
class _Pass:
    """Sums over the candidates of n rounds.

    Attributes:
        least: smallest target probability; NaN where one is not a number.
        off: largest distance of a round's sum of target probabilities from 1; NaN where one is not
            a number.
        shown: float64, shape (n,), target probability of the shown item.
        shown_q: float64, shape (n, m), q of the shown item; no columns without q.
        direct: float64, shape (n, m), sums of target times q; no columns without q.
    """

    least: float
    off: float
    shown: NDArray[np.float64]
    shown_q: NDArray[np.float64]
    direct: NDArray[np.float64]


def _pass_over(
    target: NDArray[np.float64],
    q: NDArray[np.float64] | None,
    shown: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> _Pass:
    n, m = len(shown), 0 if q is None else q.shape[1]
    own, least, off = np.empty(n), np.inf, 0.0
    own_q, direct = np.empty((n, m)), np.empty((n, m))
    lengths = np.diff(offsets)
    # Candidate sets of one length are the rows of a matrix: no product array is needed.
    same = bool((lengths == lengths[0]).all())
    ones = np.ones(int(lengths[0]))
    with np.errstate(invalid="ignore", over="ignore"):
        for start, stop in pieces(offsets, CANDIDATES_AT_ONCE):
            low, high = int(offsets[start]), int(offsets[stop])
            mine, at = target[low:high], offsets[start:stop] - low
            least = np.minimum(least, mine.min())
            # Once the piece was read, the shown item's place is in the cache; so too for q below.
            here = shown[start:stop]
            own[start:stop] = target[here]
            matrix = mine.reshape(stop - start, -1) if same else None
            if matrix is not None:
                total = matrix @ ones
            else:
                total = np.add.reduceat(mine, at)
            off = np.maximum(off, np.abs(total - 1.0).max())
            for j in range(m):
                theirs = q[low:high, j]  # type: ignore[index]
                if matrix is not None:
                    direct[start:stop, j] = np.vecdot(matrix, theirs.reshape(matrix.shape))
                else:
                    direct[start:stop, j] = np.add.reduceat(mine * theirs, at)
            if q is not None:
                own_q[start:stop] = q[here]
    return _Pass(float(least), float(off), own, own_q, direct)


def _sums(
    function: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    offsets: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Sum of function(a, b) over each candidate set, shape (n,), in pieces of bounded size."""
    out = np.empty(len(offsets) - 1)
    for start, stop in pieces(offsets, CANDIDATES_AT_ONCE):
        low, high = int(offsets[start]), int(offsets[stop])
        out[start:stop] = np.add.reduceat(
            function(a[low:high], b[low:high]), offsets[start:stop] - low
        )
    return out


def _squared_over(target: NDArray[np.float64], logged: NDArray[np.float64]) -> NDArray[np.float64]:
    square: NDArray[np.float64] = target * target
    # A candidate without a propensity makes its round's sum unknown.
    # Where it overflows, no effective sample size is to be expected.
    with np.errstate(over="ignore"):
        return np.divide(square, logged, out=np.zeros_like(square), where=~(logged <= 0))


def _check_shapes(b: EvaluationBatch) -> None:
    n, total = len(b.propensity), len(b.target)
    if n == 0:
        raise ValueError("a batch needs at least one decision; this one is empty")
    if len(b.offsets) != n + 1 or b.offsets[0] != 0 or b.offsets[-1] != total:
        raise ValueError(
            f"offsets must be {n + 1} numbers from 0 to the number of candidates, {total}; "
            f"got {len(b.offsets)} from {b.offsets[:1]} to {b.offsets[-1:]}"
        )
    check_rows(np.diff(b.offsets) <= 0, "the candidate set is empty or the offsets decrease")
    if b.rewards.ndim != 2 or b.rewards.shape != (n, len(b.objectives)):
        raise ValueError(
            f"rewards must have shape ({n}, {len(b.objectives)}), one column an objective; "
            f"got {b.rewards.shape}"
        )
    check_objectives(b.objectives)
    check_shape("cluster", b.cluster, (n,))
    check_shape("shown", b.shown, (n,))
    check_shape("propensity", b.propensity, (n,))
    check_shape("target", b.target, (total,))
    check_shape("q", b.q, (total, len(b.objectives)))
    check_shape("candidate_propensity", b.candidate_propensity, (total,))
    if b.features is not None and (b.features.ndim != 2 or len(b.features) != total):
        raise ValueError(
            f"features must have shape ({total}, d), one row a candidate; got {b.features.shape}"
        )
    check_cluster(b.cluster)


def _check_values(b: EvaluationBatch) -> None:
    check_rows((b.shown < b.offsets[:-1]) | (b.shown >= b.offsets[1:]), "shown is not a candidate")
    p = b.propensity
    check_rows(
        np.logical_not((p > 0) & (p <= 1)), "the propensity must be in (0, 1]; quarantine such rows"
    )
    seen = b._pass
    # Not a number is never >= 0.
    if not seen.least >= 0:
        bad = np.logical_not(b.target >= 0)
        _first_row(b, bad, "a target probability is negative or not a number")
    if not seen.off <= 1e-6:
        sums = np.add.reduceat(b.target, b.offsets[:-1])
        apart = np.logical_not(np.abs(sums - 1) <= 1e-6)
        check_rows(apart, "the target probabilities do not sum to 1")
    with np.errstate(over="ignore"):
        weight = b.weight
    check_rows(
        ~np.isfinite(weight),
        "the propensity is so small that the importance weight is infinite; quarantine such rows",
    )
    check_rows(np.isinf(b.rewards).any(1), "a reward is infinite")
    # Products with a finite target probability, 0 too, sum to a finite number only where every q is
    # finite; where a sum is not, because it overflows perhaps, the terms are looked at.
    if b.q is not None and not np.isfinite(seen.direct).all():
        _check_finite(b, b.q, "a predicted reward q is not finite")
    # A finite sum has finite terms.
    if b.features is not None and not np.isfinite(b.features.ravel(order="K").sum()):
        _check_finite(b, b.features, "a feature is not finite")


def _check_finite(b: EvaluationBatch, values: NDArray[np.float64], problem: str) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        _first_row(b, np.logical_or.reduce(bad, axis=1), problem)


def _first_row(b: EvaluationBatch, bad: NDArray[np.bool_], problem: str) -> None:
    hit = np.zeros(len(b), np.bool_)
    hit[rows(b.offsets)[bad]] = True
    check_rows(hit, problem)
