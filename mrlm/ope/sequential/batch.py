"""SessionBatch: logged sessions as a sequential estimator sees them, checked once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import gather, rows
from mrlm.ope.checks import check_cluster, check_objectives, check_offsets, check_rows, check_shape
from mrlm.ope.grouped.grouped import all_known, any_nonzero, expectation, round_sum
from mrlm.ope.grouped.log_weights import running_log_weight

# Logs of probabilities that were rounded may be above 0 by so much.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class SessionBatch:
    """n sessions with S steps in all, N candidates over all steps, m objectives, one target policy.

    The value of a policy is the expected discounted sum of the rewards of a session up to where it
    ends or the log stops.

    Attributes:
        cluster: user of each session, int64 or str, shape (n,): the unit of independence.
        offsets: int64, shape (n + 1,), offsets of the sessions, their steps in order of time; none
            is empty.
        log_propensity: float64, shape (S,), log of the logger's probability of the shown action.
        log_target: float64, shape (S,), the same under the target policy; -inf where it never
            shows it.
        rewards: float64, shape (S, m); NaN where unknown, and the session is then not used for that
            objective.
        objectives: m names.
        step_offsets: int64, shape (S + 1,), offsets of the steps' candidate sets; with the three
            fields below, needed for predictions only.
        shown: int64, shape (S,), flat position of the shown action among all candidates.
        target: float64, shape (N,), probability of every candidate under the target policy.
        q: float64, shape (N, m), predicted discounted sum of the rewards from this step on, of
            every candidate. The model must not have been fitted on these users' rewards.
        v: float64, shape (S, m), expectation of q over the target policy; computed where absent.
        terminal: bool, shape (n,), True where the session ended, False where the log only stops;
            None where all ended.
        policy: name of the target policy, for tables and reasons.

    Raises:
        ValueError: shapes, ranges or sums are wrong; the message names the first bad row.
    """

    cluster: NDArray[Any]
    offsets: NDArray[np.int64]
    log_propensity: NDArray[np.float64]
    log_target: NDArray[np.float64]
    rewards: NDArray[np.float64]
    objectives: tuple[str, ...]
    step_offsets: NDArray[np.int64] | None = None
    shown: NDArray[np.int64] | None = None
    target: NDArray[np.float64] | None = None
    q: NDArray[np.float64] | None = None
    v: NDArray[np.float64] | None = None
    terminal: NDArray[np.bool_] | None = None
    policy: str = "policy"

    def __post_init__(self) -> None:
        _check_steps(self)
        _check_candidates(self)

    @property
    def estimand(self) -> str:
        """The value is that of a session."""
        return "per session"

    def __len__(self) -> int:
        return len(self.cluster)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each session, int64, shape (n,)."""
        return np.diff(self.offsets)

    @cached_property
    def step(self) -> NDArray[np.int64]:
        """Number of each step in its session from 0, int64, shape (S,)."""
        session = rows(self.offsets)
        return np.arange(len(session)) - self.offsets[:-1][session]

    @cached_property
    def log_ratio(self) -> NDArray[np.float64]:
        """Log of the importance weight of each step alone, float64, shape (S,)."""
        return self.log_target - self.log_propensity

    @cached_property
    def log_weight(self) -> NDArray[np.float64]:
        """Log of the weight of the session down to each step, float64, shape (S,)."""
        return running_log_weight(self.log_ratio, self.offsets)

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """Where every reward of the session is known, bool, shape (n, m)."""
        return all_known(self.rewards, self.offsets)

    @cached_property
    def nonzero(self) -> NDArray[np.bool_]:
        """Where some reward of the session is known and not 0, bool, shape (n, m)."""
        return any_nonzero(self.rewards, self.offsets)

    @cached_property
    def predictions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predicted value q of the shown action and v of the state, each of shape (S, m).

        Raises:
            ValueError: the batch has no predictions.
        """
        if self.q is None or self.shown is None or self.step_offsets is None:
            raise ValueError(
                "this estimator needs predicted values q of every candidate; fit them with "
                "fit_q on other users, or use per-decision importance sampling"
            )
        if self.v is not None:
            return self.q[self.shown], self.v
        # There is a target where there is q and no v.
        target = np.asarray(self.target, np.float64)
        return self.q[self.shown], expectation(target, self.q, self.step_offsets)

    def take(self, index: NDArray[np.int64]) -> SessionBatch:
        """The sessions at ``index``, in that order."""
        steps, offsets = gather(self.offsets, index)
        out = replace(
            self,
            cluster=self.cluster[index],
            offsets=offsets,
            log_propensity=self.log_propensity[steps],
            log_target=self.log_target[steps],
            rewards=self.rewards[steps],
            step_offsets=None,
            shown=None,
            target=None,
            q=None,
            v=None if self.v is None else self.v[steps],
            terminal=None if self.terminal is None else self.terminal[index],
        )
        if self.step_offsets is None or self.shown is None:
            return out
        flat, step_offsets = gather(self.step_offsets, steps)
        return replace(
            out,
            step_offsets=step_offsets,
            shown=step_offsets[:-1] + (self.shown - self.step_offsets[:-1])[steps],
            target=None if self.target is None else self.target[flat],
            q=None if self.q is None else self.q[flat],
        )


def _check_steps(b: SessionBatch) -> None:
    total, m = len(b.log_propensity), len(b.objectives)
    check_offsets(b.offsets, total, "sessions", "steps")
    check_shape("cluster", b.cluster, (len(b.offsets) - 1,))
    check_shape("log_target", b.log_target, (total,))
    check_shape("rewards", b.rewards, (total, m))
    check_shape("v", b.v, (total, m))
    check_shape("terminal", b.terminal, (len(b.offsets) - 1,))
    check_cluster(b.cluster)
    check_objectives(b.objectives)
    check_rows(
        ~((b.log_propensity <= _ROUNDING) & (b.log_propensity > -np.inf)),
        "the log propensity must be finite and at most 0; quarantine such sessions",
    )
    check_rows(~(b.log_target <= _ROUNDING), "the log target is above 0 or not a number")
    check_rows(np.isinf(b.rewards).any(1), "a reward is infinite")
    if b.v is not None:
        check_rows(~np.isfinite(b.v).all(1), "a predicted value v is not finite")


def _check_candidates(b: SessionBatch) -> None:
    given = {"step_offsets": b.step_offsets, "shown": b.shown}
    if b.step_offsets is None or b.shown is None:
        wanted = [n for n, a in given.items() if a is None]
        if b.q is not None or b.target is not None or len(wanted) == 1:
            raise ValueError(f"candidates need {' and '.join(wanted)} too")
        return
    if b.q is not None and b.v is None and b.target is None:
        raise ValueError("q needs the target probability of every candidate, or v")
    steps, candidates = len(b.log_propensity), int(b.step_offsets[-1])
    check_offsets(b.step_offsets, candidates, "steps", "candidates")
    check_shape("step_offsets", b.step_offsets, (steps + 1,))
    check_shape("shown", b.shown, (steps,))
    check_shape("target", b.target, (candidates,))
    check_shape("q", b.q, (candidates, len(b.objectives)))
    outside = (b.shown < b.step_offsets[:-1]) | (b.shown >= b.step_offsets[1:])
    check_rows(outside, "shown is not a candidate")
    if b.target is not None:
        negative = np.logical_or.reduceat(~(b.target >= 0), b.step_offsets[:-1])
        check_rows(negative, "a target probability is negative or not a number")
        sums = round_sum(b.target, b.step_offsets)
        check_rows(~(np.abs(sums - 1) <= 1e-6), "the target probabilities do not sum to 1")
        differs = np.abs(np.exp(b.log_target) - b.target[b.shown]) > 1e-6
        check_rows(differs, "the log target is not that of the shown candidate")
    if b.q is not None:
        bad = np.logical_or.reduceat(~np.isfinite(b.q).all(1), b.step_offsets[:-1])
        check_rows(bad, "a predicted value q is not finite")
