"""The paired difference of two policies on the same log, and the flag of estimated propensities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.ope.batch import EvaluationBatch
    from mrlm.ope.state.state import EvaluationState
    from mrlm.policies.contract import Policy


def paired_batches(
    log: BanditLog, first: Policy, second: Policy, q: NDArray[np.float64] | None
) -> tuple[EvaluationBatch, EvaluationBatch]:
    """The log under the one policy and under the other.

    Args:
        log: n decisions with N candidates and every propensity.
        first: named ``challenger``.
        second: named ``champion``, whose value is taken off.
        q: predicted rewards, float64, shape (N, m); None without a reward model.

    Raises:
        ValueError: a propensity is missing.
    """
    from mrlm.ope.batch import EvaluationBatch

    batch = EvaluationBatch.from_log(log, probabilities(first, log), q, "challenger")
    return batch, batch.with_target(probabilities(second, log), "champion")


def state_of_pair(
    first: EvaluationBatch, second: EvaluationBatch, estimator: str
) -> EvaluationState:
    """Sums of the paired difference of two policies on the same rows, without a flag.

    Args:
        first: see ``paired_batches``.
        second: whose value is taken off.
        estimator: name in ``mrlm.ope.registry.ESTIMATORS``.

    Raises:
        KeyError: no such estimator.
        ValueError: the estimator needs predicted rewards and there are none.
    """
    from mrlm.ope.difference import difference
    from mrlm.ope.registry import ESTIMATORS
    from mrlm.ope.state.state import EvaluationState

    estimate = ESTIMATORS[estimator]
    return EvaluationState.of(difference(estimate(first), estimate(second)))


def probabilities(policy: Policy, log: BanditLog) -> NDArray[np.float64]:
    """The policy's probability of every candidate, float64, shape (N,)."""
    found: NDArray[np.float64] = np.exp(policy.log_probabilities(log.decisions))
    return found


def flagged_nights(
    states: dict[str, EvaluationState], *, estimated: bool, no_hidden_confounding: bool
) -> dict[str, EvaluationState]:
    """The states of several nights, which merge: all carry the flag, or none does.

    Args:
        states: night to its state, without a flag.
        estimated: whether a propensity of any of these nights is an estimate.
        no_hidden_confounding: see ``mrlm.ope.propensity.flagged``.
    """
    from mrlm.ope.propensity import flagged_state

    if not estimated:
        return states
    return {night: flagged_state(s, no_hidden_confounding) for night, s in states.items()}
