"""The flag that everything made of estimated propensities carries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.ope.scores import Scores
from mrlm.ope.state.state import EvaluationState

_SUFFIX = " (estimated propensities)"


def flagged(scores: Scores, no_hidden_confounding: bool = False) -> Scores:
    """Scores that say for good that their propensities are estimates.

    The estimator's name carries it through states, estimates and differences, and states with and
    without it refuse to merge. Estimates of propensities cannot show that the logger used nothing
    else, so the interval is certified only where the caller knows it, and is otherwise labelled as
    not covering the policy's value; ``sensitivity_bounds`` say how much confounding would matter.
    Nor do estimates show what the logger never does, so the unsupported mass becomes unknown.

    Args:
        scores: of a batch with estimated propensities.
        no_hidden_confounding: whether it is known that the logger saw only the features used.
    """
    return replace(
        scores,
        estimator=f"{scores.estimator}{_SUFFIX}",
        unsupported=np.full_like(scores.unsupported, np.nan),
        covers_policy_value=scores.covers_policy_value and no_hidden_confounding,
    )


def flagged_state(state: EvaluationState, no_hidden_confounding: bool = False) -> EvaluationState:
    """The state of ``flagged`` scores, from the state of the same scores without the flag.

    Nights with and without estimates are merged when all of them carry it.
    """
    unknown = np.where(state.rows > 0, np.nan, 0.0)[:, :, None]
    return replace(
        state,
        estimator=f"{state.estimator}{_SUFFIX}",
        unsupported=np.broadcast_to(unknown, state.unsupported.shape).copy(),
        covers_policy_value=state.covers_policy_value and no_hidden_confounding,
    )
