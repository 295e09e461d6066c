from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log.user_folds import user_folds
from mrlm.ope import EvaluationBatch, EvaluationState, estimates
from mrlm.ope.contract import fit
from mrlm.ope.estimators.mrdr import MRDR
from mrlm.ope.registry import FAMILY


def enumerated(users=(0, 1, 2, 3)):
    """Every outcome of one decision of two items by each user, with its probability."""
    g = np.random.default_rng(4)
    n = len(users)
    logger, target = g.uniform(0.2, 0.8, n), g.uniform(0.2, 0.8, n)
    truth, features = g.normal(size=(n, 2)), g.normal(size=(2 * n, 1))
    both = [np.column_stack([p, 1 - p]) for p in (logger, target)]
    for choice in itertools.product((0, 1), repeat=n):
        at = np.arange(n), np.array(choice)
        batch = EvaluationBatch(
            cluster=np.array(users),
            offsets=2 * np.arange(n + 1),
            target=both[1].ravel(),
            shown=2 * at[0] + at[1],
            propensity=both[0][at],
            rewards=truth[at][:, None],
            objectives=("x",),
            features=features,
        )
        yield float(both[0][at].prod()), batch, float((both[1] * truth).sum() / n)


def test_unbiased_because_no_user_saw_itself():
    """Exact expectation over all logs; the same regression on all users at once is biased."""
    folds = user_folds(np.array([0, 1, 2, 3]), 2)
    assert set(folds) == {0, 1}
    expected = everyone = 0.0
    outcomes = list(enumerated())
    for p, batch, _ in outcomes:
        expected += p * MRDR(folds=2, penalty=0.1)(batch).value[0]
        ready = fit(MRDR(folds=2, penalty=0.1), lambda b=batch: [b, moved(b)])
        everyone += p * ready(batch).value[0]
    real = outcomes[0][2]
    assert expected == pytest.approx(real, abs=1e-12)
    assert abs(everyone - real) > 1e-3


def moved(batch):
    """The same rounds by users of the other fold, so that every fold has seen them."""
    other = np.arange(1000)
    fold = user_folds(other, 2)
    mine = user_folds(batch.cluster, 2)
    taken = [np.flatnonzero(fold == 1 - f)[i] for i, f in enumerate(mine)]
    return replace(batch, cluster=other[taken])


def test_coefficients_are_those_of_least_squares(make_batch):
    """Without a penalty: w r on 1 and w phi - E phi, over the other folds' known rewards."""
    batch = make_batch(n=400, users=60, missing=0.2)
    ready = fit(MRDR(folds=3, penalty=0.0), lambda: [batch.take(np.arange(150)), rest(batch)])
    fold = user_folds(batch.cluster, 3)
    for k, j in itertools.product(range(3), range(2)):
        use = (fold != k) & batch.used[:, j]
        ones = np.ones((len(batch), 1))
        shown = np.hstack([ones, batch.features[batch.shown], batch.q[batch.shown, j, None]])
        mean = np.hstack([ones, batch.expected_features, batch.direct[:, j, None]])
        z = batch.weight[:, None] * shown - mean
        system = np.hstack([ones, z])[use]
        y = (batch.weight * batch.rewards[:, j])[use]
        right = np.linalg.lstsq(system, y, rcond=None)[0][1:]
        assert ready.coefficients[k, j] == pytest.approx(right, abs=1e-9)


def rest(batch):
    return batch.take(np.arange(150, len(batch)))


def test_own_rewards_do_not_reach_own_model(make_batch):
    batch = make_batch(n=200, users=40, missing=0.0)
    user = batch.cluster[0]
    own = batch.cluster == user
    other = replace(batch, rewards=np.where(own[:, None], 7.0, batch.rewards))
    k = user_folds(batch.cluster, 5)[0]
    models = [fit(MRDR(), lambda b=b: [b]).coefficients for b in (batch, other)]
    # The common point of the moments is of all users; what it leaves is rounding.
    assert models[0][k] == pytest.approx(models[1][k], abs=1e-10)
    assert np.abs(models[0] - models[1]).max() > 1e-3


def test_no_worse_than_what_it_can_choose(make_batch):
    """On a long log its standard error is below those of IPS, DR and the control variate.

    Two percent are left for what cross-fitting costs.
    """
    batch = make_batch(n=4000, users=4000, missing=0.0, m=1)
    batch = replace(batch, rewards=batch.rewards + 0.5 * batch.q[batch.shown] + 1)

    def error(name):
        return estimates(EvaluationState.of(FAMILY[name](batch)))["o0"].standard_error

    assert error("mrdr") < 0.9 * error("ips")
    assert error("mrdr") < 1.02 * min(error("dr"), error("cressie_read"))


def test_features_or_predictions_are_asked_for(make_batch):
    batch = make_batch()
    with pytest.raises(ValueError, match="mrdr needs features"):
        MRDR()(replace(batch, q=None, features=None))
    for some in ({"q": None}, {"features": None}):
        assert np.isfinite(MRDR()(replace(batch, **some)).value).all()


@pytest.mark.parametrize(("name", "value"), [("folds", 1), ("penalty", -1.0)])
@pytest.mark.parametrize("estimator", ["mrdr", "balanced_ipw"])
def test_impossible_parameters_are_refused(estimator, name, value):
    with pytest.raises(ValueError, match=name):
        replace(FAMILY[estimator], **{name: value})
