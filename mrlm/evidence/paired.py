"""What all evaluations of a night share: the gate's thresholds, batches, paired differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.contract.context import NightContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrlm.bandit_log import BanditLog
    from mrlm.ope.scores import Scores
    from mrlm.ope.state.state import EvaluationState
    from mrlm.ope.verdict.certify import Thresholds
    from mrlm.policies.contract import Policy

    Mark = Callable[[Scores], Scores]


def thresholds(context: NightContext) -> Thresholds:
    """What an interval needs before it is certified, as the gate's settings say."""
    from mrlm.ope.verdict.certify import Thresholds

    gate = context.settings.gate
    return Thresholds(
        min_effective_sample_size=gate.min_effective_sample_size,
        max_weight_share=gate.max_weight_share,
        min_users=gate.min_users,
        min_nonzero=gate.min_nonzero,
    )


def marking(context: NightContext, estimated: bool) -> Mark:
    """What puts the flag on scores: nothing where every propensity was logged.

    ``gate.allow_estimated_propensities`` says that the logger saw nothing that the log has not.
    """
    from mrlm.ope.propensity import flagged

    sure = context.settings.gate.allow_estimated_propensities
    return (lambda scores: flagged(scores, sure)) if estimated else (lambda scores: scores)


def marked(context: NightContext, state: EvaluationState) -> EvaluationState:
    """The state with the flag of estimated propensities; see ``marking``."""
    from mrlm.ope.propensity import flagged_state

    return flagged_state(state, context.settings.gate.allow_estimated_propensities)


def paired_state(
    log: BanditLog,
    first: Policy,
    second: Policy,
    q: NDArray[np.float64] | None,
    estimator: str,
) -> EvaluationState:
    """Sums of the paired difference of two policies on the log, without a flag.

    Args:
        log: n decisions with N candidates and every propensity.
        first: named ``challenger``.
        second: named ``champion``, whose value is taken off.
        q: predicted rewards, shape (N, m); None without a reward model.
        estimator: name in the registry.
    """
    from mrlm.ope.batch import EvaluationBatch
    from mrlm.ope.difference import difference
    from mrlm.ope.registry import ESTIMATORS
    from mrlm.ope.state.state import EvaluationState

    batch = EvaluationBatch.from_log(log, probabilities(first, log), q, "challenger")
    estimate = ESTIMATORS[estimator]
    other = batch.with_target(probabilities(second, log), "champion")
    return EvaluationState.of(difference(estimate(batch), estimate(other)))


def probabilities(policy: Policy, log: BanditLog) -> NDArray[np.float64]:
    """The policy's probability of every candidate, float64, shape (N,)."""
    found: NDArray[np.float64] = np.exp(policy.log_probabilities(log.decisions))
    return found
