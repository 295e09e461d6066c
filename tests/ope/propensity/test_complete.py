from __future__ import annotations

import json

import numpy as np
import pytest

from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState, estimates
from mrlm.ope.propensity import complete


def log(seed, n=2000):
    """Four candidates a round, a logger of one feature, rewards by the second; and the truth."""
    g = np.random.default_rng(seed)
    offsets = np.arange(n + 1) * 4
    features = g.normal(size=(4 * n, 2))
    logger = np.exp(segment_log_softmax(features[:, 0], offsets)).reshape(n, 4)
    target = np.exp(segment_log_softmax(features[:, 1], offsets)).reshape(n, 4)
    click = np.where(features[:, 1] > 0, 0.6, 0.2).reshape(n, 4)
    action = (np.cumsum(logger, 1) < g.random((n, 1))).sum(1).clip(0, 3)
    every = np.arange(n)
    batch = EvaluationBatch(
        cluster=every // 2,
        offsets=offsets,
        target=target.ravel(),
        shown=offsets[:-1] + action,
        propensity=np.ones(n),
        rewards=(g.random(n) < click[every, action]).astype(float)[:, None],
        objectives=("click",),
    )
    return batch, features, logger[every, action], float((target * click).sum(1).mean())


@pytest.mark.statistics
def test_intervals_from_estimated_propensities_cover():
    """60 logs at 95 %: fewer than 50 covering has probability under 1e-3."""
    covered = 0
    for seed in range(60):
        batch, features, _, truth = log(seed)
        done = complete(
            batch,
            np.ones(len(batch), np.bool_),
            features,
            no_hidden_confounding=True,
            gammas=[1.0],
            draws=2,
        )
        found = estimates(EvaluationState.of(done.scores(ESTIMATORS["snips"])))["click"]
        assert found.certified
        covered += found.lower <= truth <= found.upper
    assert covered >= 50


def test_one_call_gives_everything_and_carries_the_flag():
    batch, features, known, truth = log(100)
    missing = np.arange(len(batch)) % 2 == 0
    part = complete(
        EvaluationBatch(**{**fields(batch), "propensity": np.where(missing, 1.0, known)}),
        missing,
        features,
        gammas=[1.0, 2.0],
        draws=50,
    )
    assert np.array_equal(part.batch.propensity[~missing], known[~missing])
    assert np.array_equal(part.propensities.estimated, missing)
    scores = part.scores(ESTIMATORS["ips"])
    assert scores.estimator == "ips (estimated propensities)"
    assert not scores.covers_policy_value
    none, two = part.bounds
    assert none.value_lower == pytest.approx(ESTIMATORS["snips"](part.batch).value[0])
    assert two.lower < none.lower < truth < none.upper < two.upper
    found = json.loads(json.dumps(part.to_json()))
    assert found["estimated"] is True
    assert found["estimated_share"] == 0.5
    assert len(found["bounds"]) == 2


def test_nothing_missing_is_not_flagged():
    batch, features, known, _ = log(101, n=200)
    full = EvaluationBatch(**{**fields(batch), "propensity": known})
    done = complete(full, np.zeros(200, np.bool_), features, gammas=[1.0], draws=2)
    assert done.scores(ESTIMATORS["ips"]).estimator == "ips"
    assert done.scores(ESTIMATORS["ips"]).covers_policy_value
    with pytest.raises(ValueError, match="missing must have shape"):
        complete(full, np.zeros(3, np.bool_), features)


def fields(batch):
    names = ("cluster", "offsets", "target", "shown", "propensity", "rewards", "objectives")
    return {name: getattr(batch, name) for name in names}
