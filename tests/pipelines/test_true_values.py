"""What decisions count for where truth stands beside estimates that weigh loggers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.evidence.criteria import Criteria
from mrlm.evidence.policies import policy_estimates
from mrlm.ope.verdict.certify import Thresholds
from pipelines.care.truth import rows_as_weighed
from tests.evidence.arrays import CANDIDATES, make_log


def test_truth_is_of_the_rows_that_the_estimates_are_of() -> None:
    """Where whatever is shown brings what the logger's rows bring, an estimate is that mean."""
    log = make_log(n=600, users=120)
    narrow = np.array([int(u[1:]) % 3 == 1 for u in log.decisions.user])
    chance = np.where(narrow[:, None], 0.02 + 0.94 * np.eye(CANDIDATES)[0], 1 / CANDIDATES)
    rewards = log.rewards.copy()
    rewards[:, 0] = np.where(narrow, 0.1, 0.6)
    rewards[::7, 0] = np.nan
    log = replace(
        log,
        candidate_propensity=chance.ravel(),
        propensity=chance[:, 0],
        action=np.zeros(len(log), np.int64),
        rewards=rewards,
        policy_id=np.where(narrow, "narrow", "broad").astype(object),
    )
    known = ~np.isnan(rewards[:, 0])
    names = "challenger", "champion"
    chances = {n: np.tile(p, len(log)) for n, p in zip(names, np.eye(CANDIDATES)[:2], strict=True)}
    by = Criteria("delight", "snips", 0.95, Thresholds(), False, trial_share=0.3)
    q = np.zeros((len(log) * CANDIDATES, rewards.shape[1]))
    found = policy_estimates(log, chances, q, None, by, 1)["policies"]["logger"]["snips"]
    rows = rows_as_weighed(log, {**chances, "logger": log.candidate_propensity}, known)
    true = np.average(rewards[known, 0], weights=rows[known])
    assert found["delight"].value == pytest.approx(true)
    assert true > rewards[known, 0].mean() + 0.05
    assert rows_as_weighed(log, chances, known).tolist() == [1.0] * len(log)
