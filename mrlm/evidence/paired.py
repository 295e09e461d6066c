"""The paired difference of two policies on the same log, and the flag of estimated propensities."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrlm.evidence.scored_log import ScoredLog
    from mrlm.ope.batch import EvaluationBatch
    from mrlm.ope.state.state import EvaluationState


def paired_batches(
    scored: ScoredLog, first: str, second: str
) -> tuple[EvaluationBatch, EvaluationBatch]:
    """The log under the one policy and under the other.

    Args:
        scored: a log with every propensity.
        first: name of the policy that is called ``challenger`` then.
        second: of the one called ``champion``, whose value is taken off.

    Raises:
        ValueError: a propensity is missing.
    """
    from mrlm.ope.batch import EvaluationBatch

    p = scored.probabilities
    batch = EvaluationBatch.from_log(scored.log, p[first], scored.q, "challenger")
    return batch, batch.with_target(p[second], "champion")


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
