"""The logging policy itself as one of the policies that are compared on its log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Estimator, ratio_scores
from mrlm.ope.scores import Scores

NAME = "logger"


def logger_scores(batch: EvaluationBatch, estimator: Estimator) -> Scores:
    """Scores of the value of whoever made each round: what was really shown.

    Where every candidate's propensity is logged, the estimator's with these as its target, whose
    weights are all 1: a doubly robust one leaves out the luck of the logger's draws. Else the
    observed reward, which needs no propensity and no model, and pairs with any estimate of another
    policy's value on the same rounds.

    Args:
        batch: n rounds; its own target is not looked at.
        estimator: of the pair.

    Returns:
        Scores of the policy ``logger``.
    """
    logged = batch.candidate_propensity
    if logged is not None and np.isfinite(logged).all():
        return estimator(batch.with_target(logged, NAME))
    observed = ratio_scores(estimator, batch, batch.rewards)
    nowhere = np.zeros((len(batch), 1))
    return replace(
        observed,
        policies=(NAME,),
        weight=np.ones((len(batch), 1)),
        unsupported=nowhere,
        expected_square=np.ones((len(batch), 1)),
    )
