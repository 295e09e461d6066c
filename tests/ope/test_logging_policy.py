"""The value of whoever wrote the log, paired with that of a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import (
    ESTIMATORS,
    EvaluationBatch,
    EvaluationState,
    difference,
    estimates,
    logger_scores,
)

Make = Callable[..., EvaluationBatch]


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_without_candidate_propensities_its_value_is_the_observed_reward(
    make_batch: Make, name: str
) -> None:
    batch = replace(make_batch(seed=1, n=400, users=100), candidate_propensity=None)
    scores = logger_scores(batch, ESTIMATORS[name])
    assert scores.policies == ("logger",)
    assert scores.value == pytest.approx(np.nanmean(batch.rewards, axis=0))
    assert (scores.weight == 1).all()
    paired = difference(ESTIMATORS[name](batch), scores)
    assert paired.value == pytest.approx(ESTIMATORS[name](batch).value - scores.value)
    assert np.isfinite(estimates(EvaluationState.of(paired), 0.95)["o0"].standard_error)


def test_with_candidate_propensities_it_is_the_estimate_of_the_logged_policy(
    make_batch: Make,
) -> None:
    batch = make_batch(seed=2, n=300)
    scores = logger_scores(batch, ESTIMATORS["dr"])
    expected = ESTIMATORS["dr"](batch.with_target(batch.candidate_propensity, "logger"))
    assert (scores.numerator == expected.numerator).all()


def test_a_policy_that_is_the_logger_differs_by_nothing(make_batch: Make) -> None:
    batch = make_batch(seed=3, n=300, on_policy=True)
    paired = difference(ESTIMATORS["dr"](batch), logger_scores(batch, ESTIMATORS["dr"]))
    assert paired.value == pytest.approx(np.zeros(2), abs=1e-12)
