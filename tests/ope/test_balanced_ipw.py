from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log.user_folds import user_folds
from mrlm.ope import EvaluationBatch
from mrlm.ope.contract import fit
from mrlm.ope.estimators.balanced_ipw import BalancedIPW

LOGGER, TARGET = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
TRUTH = np.array([0.1, 0.4, 0.9])
FREE = BalancedIPW(penalty=1e-9)


def population(features, users=8):
    """Every user has each item as often as the logger shows it: the expected log, exactly."""
    each = np.repeat(np.arange(3), (LOGGER * 10).round().astype(int))
    action = np.tile(each, users)
    n = len(action)
    return EvaluationBatch(
        cluster=np.repeat(np.arange(users), len(each)),
        offsets=3 * np.arange(n + 1),
        target=np.tile(TARGET, n),
        shown=3 * np.arange(n) + action,
        propensity=LOGGER[action],
        rewards=TRUTH[action][:, None],
        objectives=("x",),
        features=np.tile(np.array(features, float), (n, 1)),
    )


def test_odds_are_the_importance_weights_where_features_tell_all_items_apart():
    batch = population(np.eye(3))
    assert set(user_folds(batch.cluster, 2)) == {0, 1}
    ready = fit(FREE, lambda: [batch])
    assert ready.odds(batch)[:, 0] == pytest.approx(batch.weight, abs=1e-6)
    assert FREE(batch).value[0] == pytest.approx(TARGET @ TRUTH, abs=1e-6)


def test_exact_bias_where_features_leave_items_alike():
    """Items 0 and 2 look the same: their odds are those of the two together, .7 over .7."""
    batch = population([[0.0], [1.0], [0.0]])
    odds = np.array([0.7 / 0.7, 0.3 / 0.3, 0.7 / 0.7])
    target = (LOGGER * odds) @ TRUTH / (LOGGER @ odds)
    assert FREE(batch).value[0] == pytest.approx(target, abs=1e-9)
    assert target - TARGET @ TRUTH == pytest.approx(-0.24, abs=1e-9)


def test_odds_of_a_fold_are_by_hand():
    """With an indicator an item, target mass over shown count among the other fold's rounds."""
    g = np.random.default_rng(2)
    action = g.choice(3, 300, p=LOGGER)
    n = len(action)
    batch = EvaluationBatch(
        cluster=np.arange(n),
        offsets=3 * np.arange(n + 1),
        target=np.tile(TARGET, n),
        shown=3 * np.arange(n) + action,
        propensity=LOGGER[action],
        rewards=TRUTH[action][:, None],
        objectives=("x",),
        features=np.tile(np.eye(3), (n, 1)),
    )
    odds, fold = fit(FREE, lambda: [batch]).odds(batch)[:, 0], user_folds(batch.cluster, 2)
    for k in range(2):
        other = fold != k
        right = TARGET * other.sum() / np.bincount(action[other], minlength=3)
        assert odds[fold == k] == pytest.approx(right[action[fold == k]], rel=1e-6)


def test_balanced_features(make_batch):
    """The weighted shown features of the training users equal those of the target: the balance."""
    batch = make_batch(n=500, users=200, missing=0.0, m=1)
    ready = fit(FREE, lambda: [batch.take(i) for i in np.array_split(np.arange(500), 3)])
    fold = user_folds(batch.cluster, 2)
    for k in range(2):
        other = np.flatnonzero(fold != k)
        part = batch.take(other)
        logit = part.features @ ready.coefficients[k, 0, 1:] + ready.coefficients[k, 0, 0]
        chance = 1 / (1 + np.exp(-logit))
        x = np.column_stack([np.ones(len(logit)), part.features])
        logged = chance[part.shown] @ x[part.shown]
        # The score equations of a logistic regression, 0 at its solution.
        assert logged == pytest.approx((part.target * (1 - chance)) @ x, abs=1e-6)


def test_features_are_asked_for(make_batch):
    bare = replace(make_batch(), features=None)
    with pytest.raises(ValueError, match="balanced_ipw needs features"):
        BalancedIPW()(bare)
    with pytest.raises(ValueError, match="fit balanced_ipw"):
        BalancedIPW().odds(make_batch())
