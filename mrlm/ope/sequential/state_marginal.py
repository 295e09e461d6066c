"""Marginal importance weights over discrete states."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.contract import Properties
from mrlm.ope.grouped.grouped import grouped_scores, round_sum
from mrlm.ope.grouped.log_weights import LOG_CAP, weight_of
from mrlm.ope.scores import Scores
from mrlm.ope.sequential.batch import SessionBatch
from mrlm.ope.sequential.steps import check_discount, discounts, labelled

# A score multiplies three of the factors that are held below this.
_LARGEST = float(np.exp(LOG_CAP / 3))


@dataclass(frozen=True)
class StateMarginalIS:
    """Rewards times the weight of their state under the target, times that of their step alone.

    Xie, Ma and Wang (2019), with tables by step and state from ``fit_state_marginal``. The score of
    a session is ``U_0(s_0) + sum_t w_t(s_t) (rho_t (d^t r_t + U_(t+1)(s_(t+1))) - U_t(s_t))``, with
    w the ratio of state marginals, rho the weight of the step alone, d the discount and U the
    fitted value to come. On the log of the fit its mean is exactly the estimate of the paper,
    sum_t w_t rho_t d^t r_t, and its deviations are the influence of a session on that estimate,
    the fit of w included; on another log it is doubly robust in w and U. The weight in the
    diagnostics is the mean of w_t rho_t over a session's steps; its standard error leaves the fit
    out, so the test of the mean weight errs towards refusal.

    Attributes:
        ratio: float64, shape (m, H, K), w of each objective, step and state; 0 where never seen.
        worth: float64, shape (m, H, K), U of each objective, step and state.
        states: int64, shape (S,), state of each step of the batch to be scored, in [0, K).
        discount: the one of the fit.
        assumed: the caller knows that the assumption is exactly true of this log (a simulated
            world); the interval is then labelled as one for the policy's value.
    """

    ratio: NDArray[np.float64]
    worth: NDArray[np.float64]
    states: NDArray[np.int64]
    discount: float = 1.0
    assumed: bool = False
    name: ClassVar[str] = "state_marginal_is"
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = (
        "given step, state and action, the reward and the next state do not depend on the past, "
        "and both policies choose by the state"
    )

    @property
    def properties(self) -> Properties:
        """What holds for it under its assumption."""
        return Properties(
            unbiased=True,
            covers_policy_value=self.assumed,
            on_policy_identity=True,
            shift_equivariant=False,
            scale_equivariant=True,
            constant_reward_zero_width=False,
        )

    def __call__(self, batch: SessionBatch) -> Scores:
        """Scores of every session and objective.

        Raises:
            ValueError: the states are not those of the batch's steps.
        """
        _check_states(batch, self.states, self.ratio.shape[2])
        rho = np.minimum(weight_of(batch.log_ratio), _LARGEST)
        faded = discounts(batch, self.discount)
        score = np.empty((len(batch), len(batch.objectives)))
        weight = np.zeros(len(batch))
        for j in range(len(batch.objectives)):
            w, u = (_look_up(t[j], batch.step, self.states) for t in (self.ratio, self.worth))
            gain = rho * (faded * batch.rewards[:, j] + _following(u, batch)) - u
            score[:, j] = u[batch.offsets[:-1]] + round_sum(w * gain, batch.offsets)
            weight += round_sum(w * rho, batch.offsets) / batch.lengths / len(batch.objectives)
        one = np.ones((1, 1, 1))
        name = labelled(self.name, self.discount)
        return grouped_scores(name, self.assumed, batch, score[:, :, None], one, weight)


def fit_state_marginal(
    batch: SessionBatch,
    states: NDArray[np.int64],
    discount: float = 1.0,
    assumed: bool = False,
) -> StateMarginalIS:
    """The estimator with the tables of this log, ready to score it.

    Forward over steps, the target's state marginal moves by the weighted transitions; backward, the
    value to come is the weighted mean of reward and value of the next state; Xie, Ma and Wang
    (2019). Sessions with an unknown reward are left out, by objective.
    Time is linear in steps, memory in the longest session times the states.

    Args:
        batch: n sessions of S steps.
        states: int64, shape (S,), discrete state of each step before its action, from 0.
        discount: factor a step on later rewards, in (0, 1].
        assumed: as for the estimator.

    Raises:
        ValueError: the states are not one a step, or negative, or the discount not in (0, 1].
    """
    check_discount(discount)
    count = int(states.max(initial=0)) + 1
    _check_states(batch, states, count)
    longest = int(batch.lengths.max())
    order = np.argsort(batch.step, kind="stable")
    cuts = np.searchsorted(batch.step[order], np.arange(longest + 1))
    final = np.zeros(len(states), np.bool_)
    final[batch.offsets[1:] - 1] = True
    rho = np.minimum(weight_of(batch.log_ratio), _LARGEST)
    faded = discounts(batch, discount)
    shape = (len(batch.objectives), longest, count)
    ratio, worth = np.zeros(shape), np.zeros(shape)
    for j in range(len(batch.objectives)):
        kept = np.repeat(batch.used[:, j], batch.lengths)
        at = [order[a:b][kept[order[a:b]]] for a, b in pairwise(cuts)]
        seen = [np.bincount(states[steps], minlength=count) for steps in at]
        mass: NDArray[np.float64] = seen[0].astype(np.float64)
        for t, steps in enumerate(at):
            np.divide(mass, seen[t], out=ratio[j, t], where=seen[t] > 0)
            np.minimum(ratio[j, t], _LARGEST, out=ratio[j, t])
            on = steps[~final[steps]]
            moved = ratio[j, t, states[on]] * rho[on]
            mass = np.bincount(states[on + 1], moved, minlength=count).astype(np.float64)
        ahead = np.zeros(count)
        for t in range(longest - 1, -1, -1):
            steps = at[t]
            later = np.where(final[steps], 0.0, ahead[states[np.minimum(steps + 1, len(rho) - 1)]])
            gain = rho[steps] * (faded[steps] * batch.rewards[steps, j] + later)
            total = np.bincount(states[steps], gain, minlength=count)
            np.divide(total, seen[t], out=worth[j, t], where=seen[t] > 0)
            np.clip(worth[j, t], -_LARGEST, _LARGEST, out=worth[j, t])
            ahead = worth[j, t]
    return StateMarginalIS(ratio, worth, states, discount, assumed)


def _look_up(
    table: NDArray[np.float64], step: NDArray[np.int64], states: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Table entry of each step; 0 beyond the steps that it has."""
    inside = step < len(table)
    return np.where(inside, table[np.where(inside, step, 0), states], 0.0)


def _following(values: NDArray[np.float64], batch: SessionBatch) -> NDArray[np.float64]:
    """Value of the next step of the session, 0 after the last."""
    out = np.concatenate([values[1:], [0.0]])
    out[batch.offsets[1:] - 1] = 0.0
    return out


def _check_states(batch: SessionBatch, states: NDArray[np.int64], count: int) -> None:
    if states.shape != batch.log_ratio.shape:
        raise ValueError(
            f"states must have one entry a step, shape {batch.log_ratio.shape}; got {states.shape}"
        )
    if (states < 0).any() or (states >= count).any():
        raise ValueError(
            f"states must be in 0 to {count - 1}; got {states.min()} to {states.max()}"
        )
