"""Auto-selected estimation: the estimate, and which estimator gave it, chosen on other users.

One path is left by which a user's own rewards reach the choice: a q that was cross-fitted on the
same log. The predictions for the other users, on whom the choice is made, then come from models
that were fitted on this user too. A q that was fitted before the log has no such path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.user_folds import split_mix, user_folds
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.choice.selection import least_error, slope
from mrlm.ope.contract import Estimator, fit
from mrlm.ope.estimators.shrinking import label
from mrlm.ope.intervals import Estimate, Interval, estimates
from mrlm.ope.intervals.influence import user_influence
from mrlm.ope.registry import FAMILY
from mrlm.ope.scores import ratio_value
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.certify import Certificate, Thresholds

Batches = Callable[[], Iterable[EvaluationBatch]]
Rule = Literal["cross_validated", "slope"]
# The folds of the choice are not those that reward models and fitted estimators cross-fit by.
SALT = 2
_NONE = -1


@dataclass(frozen=True)
class Selected:
    """An auto-selected estimate of each objective, and the choices behind it.

    Attributes:
        estimates: by objective; each names what was chosen, as in ``selected(mrdr)``. One whose
            reward too few users have to choose on is NaN, and its certificate says so.
        chosen: by objective, the estimator that was chosen for the users of each fold; empty where
            too few users have its reward.
        members: by objective, each member's value and user-clustered standard error on the whole
            log, for tables; the choice did not read them.
        state: sums of the selected scores by user, for other intervals and levels.
    """

    estimates: dict[str, Estimate]
    chosen: dict[str, tuple[str, ...]]
    members: dict[str, dict[str, tuple[float, float]]]
    state: EvaluationState


def default_family(batch: EvaluationBatch) -> tuple[Estimator, ...]:
    """The estimators that a batch has the data for and whose bias vanishes as the log grows."""
    names = ["ips", "snips", "cressie_read", "empirical_likelihood"]
    if batch.q is not None:
        names += ["dr", "sndr"]
    if batch.q is not None or batch.features is not None:
        names.append("mrdr")
    return tuple(FAMILY[name] for name in names)


def select(
    batches: Batches,
    family: Sequence[Estimator] | None = None,
    rule: Rule = "cross_validated",
    *,
    folds: int = 5,
    level: float = 0.95,
    thresholds: Thresholds | None = None,
    interval: Interval | None = None,
) -> Selected:
    """Estimate of each objective by the estimator that suits this log and this policy best.

    Users are split into folds. For each fold's users the estimator is chosen on all other users,
    with everything that members fit (multipliers, reward models) fitted on those too; then the
    chosen member's part of these users, out of its estimate on the whole log, enters the selected
    estimate: ``rows value + n influence``, summed. Where all folds choose alike, that is the
    member's own estimate. Nobody's rewards choose the estimator that judges them, except through a
    q that was cross-fitted on this same log: the predictions for other users know them. Nothing is
    kept between calls: another policy is another choice.

    Args:
        batches: starts one more pass over the log; some passes a member and fold are made.
        family: members, any kinds; for ``slope`` from the least biased to the most. None is
            ``default_family`` of the first batch.
        rule: ``cross_validated`` takes the least estimated squared error (``least_error``),
            ``slope`` the last member that does not contradict an earlier one (``slope``).
        folds: of users, at least 2.
        level: two-sided level of the intervals, and of those that SLOPE compares.
        thresholds: for the certificate.
        interval: kind of interval; Student's t unless given.

    Raises:
        ValueError: the family is empty or has a name twice, there are too few folds, too few
            users for every objective, or a member needs what the log does not have.

    Examples:
        >>> import numpy as np
        >>> from mrlm import EvaluationBatch, Uniform, latent_log, select
        >>> log, _ = latent_log(n_users=200, decisions_per_user=10, n_candidates=8, seed=1)
        >>> target = np.exp(Uniform().log_probabilities(log.decisions))
        >>> found = select(lambda: [EvaluationBatch.from_log(log, target, policy="uniform")])
        >>> sorted(set(found.chosen["like"]))  # what was chosen, fold by fold of the users
        ['empirical_likelihood']
        >>> found.estimates["like"].certified
        True
    """
    chosen_from = default_family(next(iter(batches()))) if family is None else tuple(family)
    names = [e.name for e in chosen_from]
    if len(set(names)) < len(names):
        names = [label(e) for e in chosen_from]
    if not names or len(set(names)) < len(names) or folds < 2:
        raise ValueError(
            f"selection needs different members and at least 2 folds; got {names}, {folds} folds"
        )
    whole = _states(chosen_from, batches)
    fold = user_folds(whole[0].cluster, folds, split_mix(SALT))
    choice = np.stack(
        [_choose(chosen_from, _without(batches, k, folds), rule, level) for k in range(folds)]
    )
    known = np.logical_and.reduce(choice != _NONE, axis=0)
    if not known.any():
        raise ValueError(
            "too few users to choose an estimator on: fewer than two outside a fold have a known "
            f"reward {' or '.join(whole[0].objectives)}; evaluate a longer log, or name the "
            "estimator"
        )
    choice[:, ~known] = _NONE
    state = _combined(whole, choice[fold])
    picked = {
        name: tuple(names[i] for i in choice[:, j] if known[j])
        for j, name in enumerate(state.objectives)
    }
    found = estimates(state, level, thresholds, interval)
    return Selected(
        estimates={name: _named(e, picked[name]) for name, e in found.items()},
        chosen=picked,
        members=_members(names, whole),
        state=state,
    )


def _named(e: Estimate, chosen: Sequence[str]) -> Estimate:
    """The estimate with the names of what was chosen; refused where nothing could be."""
    if chosen:
        return replace(e, estimator=f"selected({', '.join(sorted(set(chosen)))})")
    reason = f"too few users with a known {e.objective} to choose an estimator on"
    return replace(
        e,
        estimator="selected(none)",
        certificate=Certificate(False, (reason, *e.certificate.reasons)),
    )


def _without(batches: Batches, k: int, folds: int) -> Batches:
    """The log with the rewards of fold k's users unknown, which leaves those to no estimator."""

    def others() -> Iterable[EvaluationBatch]:
        for batch in batches():
            own = user_folds(batch.cluster, folds, split_mix(SALT)) == k
            yield replace(batch, rewards=np.where(own[:, None], np.nan, batch.rewards))

    return others


def _states(family: Sequence[Estimator], batches: Batches) -> list[EvaluationState]:
    """State of every member, all summed in one pass once the members are fitted."""
    ready = [fit(e, batches) for e in family]
    states: list[EvaluationState] = []
    for batch in batches():
        new = [EvaluationState.of(e(batch)) for e in ready]
        states = [s.merge(n) for s, n in zip(states, new, strict=True)] if states else new
    return states


def _choose(
    family: Sequence[Estimator], batches: Batches, rule: Rule, level: float
) -> NDArray[np.int64]:
    """Index of the member chosen for each objective on this log, shape (m,); -1 where none can."""
    from scipy.special import ndtri

    value, covariance = _compared(_states(family, batches))
    known: NDArray[np.bool_] = np.isfinite(value.sum(0) + covariance.sum((1, 2)))
    chosen = np.full(len(known), _NONE)
    if not known.any():
        return chosen
    value, covariance = value[:, known], covariance[known]
    if rule == "slope":
        error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2).T)
        chosen[known] = slope(value, float(ndtri((1 + level) / 2)) * error)
    else:
        covers = np.array([e.properties.covers_policy_value for e in family])
        chosen[known] = least_error(value, covariance, covers)
    return chosen


def _compared(
    states: Sequence[EvaluationState],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values of all members, (k, m), and their covariance by objective, (m, k, k), by user."""
    value = np.stack([_value(s) for s in states])
    influence = np.stack([user_influence(s) for s in states], axis=2)
    groups = (states[0].rows > 0).sum(0)
    correction = np.full(len(groups), np.nan)
    np.divide(groups, groups - 1, out=correction, where=groups > 1)
    return value, np.einsum("ujk,ujl->jkl", influence, influence) * correction[:, None, None]


def _value(state: EvaluationState) -> NDArray[np.float64]:
    return ratio_value(state.numerator.sum(0), state.denominator.sum(0), state.signs)


def _combined(whole: Sequence[EvaluationState], choice: NDArray[np.int64]) -> EvaluationState:
    """The state in which each user counts as in the member chosen for it, ``choice`` (C, m).

    An objective without a choice has denominators of 0, so that its value is NaN.
    """
    first = whole[0]
    rows = first.rows.astype(np.float64)
    numerator = np.zeros_like(rows)
    for i, state in enumerate(whole):
        part = rows * _value(state) + rows.sum(0) * user_influence(state)
        numerator = np.where(choice == i, part, numerator)
    covers = all(whole[i].covers_policy_value for i in np.unique(choice[choice != _NONE]))
    return replace(
        first,
        estimator="selected",
        covers_policy_value=covers,
        fitted=True,
        signs=np.ones(1),
        numerator=numerator[:, :, None],
        denominator=np.where(choice == _NONE, 0.0, rows)[:, :, None],
    )


def _members(
    names: Sequence[str], whole: Sequence[EvaluationState]
) -> dict[str, dict[str, tuple[float, float]]]:
    value, covariance = _compared(whole)
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2).T)
    return {
        objective: {name: (float(value[i, j]), float(error[i, j])) for i, name in enumerate(names)}
        for j, objective in enumerate(whole[0].objectives)
    }
