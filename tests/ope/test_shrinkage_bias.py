from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState, estimates
from mrlm.ope.choice.bounded import bounded_estimates
from mrlm.ope.choice.shrinkage_bias import shrinkage_bounds
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.dr_shrinkage import DROptimistic, DRPessimistic
from mrlm.ope.estimators.sub_gaussian import SubGaussianDR, SubGaussianIPS
from mrlm.ope.estimators.switch import Switch
from mrlm.ope.estimators.switch_dr import SwitchDR

FAMILY = [
    ClippedIPS(1.5),
    DROptimistic(2.0),
    DRPessimistic(1.2),
    SubGaussianIPS(0.4),
    SubGaussianDR(0.4),
    Switch(1.5),
    SwitchDR(1.5),
]
RANGE = np.array([-0.5]), np.array([2.0])
LOGGER = np.array([0.7, 0.2, 0.1, 0.05, 0.15, 0.8])
TARGET = np.array([0.1, 0.3, 0.6, 0.5, 0.4, 0.1])
Q = np.array([0.3, 1.0, -0.2, 0.7, 0.1, 0.5])


def outcomes(reward, logger=LOGGER):
    """Probability and batch of each outcome of two rounds of three candidates."""
    for first, second in itertools.product(range(3), range(3, 6)):
        shown = np.array([first, second])
        if logger[first] * logger[second] > 0:
            yield (
                logger[first] * logger[second],
                EvaluationBatch(
                    cluster=np.arange(2),
                    offsets=np.array([0, 3, 6]),
                    target=TARGET,
                    shown=shown,
                    propensity=logger[shown],
                    rewards=reward[shown, None],
                    objectives=("r",),
                    q=Q[:, None],
                    candidate_propensity=logger,
                ),
            )


def expected_ends(estimator, reward, logger=LOGGER, known=True):
    low = high = 0.0
    for p, batch in outcomes(reward, logger):
        given = batch if known else replace(batch, candidate_propensity=None)
        below, above = shrinkage_bounds(estimator, given, *RANGE)
        low, high = low + p * below.value[0], high + p * above.value[0]
    return low, high


@pytest.mark.parametrize("estimator", FAMILY, ids=lambda e: e.name)
@pytest.mark.parametrize("logger", [LOGGER, np.array([0.7, 0.3, 0.0, 0.05, 0.15, 0.8])])
def test_the_bound_holds_the_value_in_expectation_and_is_reached(estimator, logger):
    """Exact, also over a candidate that is never shown: no smaller bound would do."""
    g = np.random.default_rng(0)
    for reward in g.uniform(-0.5, 2.0, (5, 6)):
        low, high = expected_ends(estimator, reward, logger)
        assert low <= (TARGET * reward).sum() / 2 + 1e-12
        assert high >= (TARGET * reward).sum() / 2 - 1e-12
    weight = np.divide(TARGET, logger, out=np.full(6, np.inf), where=logger > 0)
    kept = np.where(weight <= 1.5, weight, 0.0)
    if not isinstance(estimator, Switch):
        kept = estimator.weights(np.where(logger > 0, weight, 0.0))
    left = TARGET - logger * kept
    worst = np.where(left >= 0, -0.5, 2.0)
    low, _ = expected_ends(estimator, worst, logger)
    assert low == pytest.approx((TARGET * worst).sum() / 2, abs=1e-12)
    best = np.where(left >= 0, 2.0, -0.5)
    _, high = expected_ends(estimator, best, logger)
    assert high == pytest.approx((TARGET * best).sum() / 2, abs=1e-12)


@pytest.mark.parametrize(
    "estimator", [e for e in FAMILY if e.name != "switch"], ids=lambda e: e.name
)
def test_the_same_from_the_shown_item_alone(estimator):
    """Where no other propensity is logged the ends have the same expectation."""
    reward = np.array([0.1, 1.9, -0.4, 0.6, 0.2, 1.1])
    known, unknown = (expected_ends(estimator, reward, known=k) for k in (True, False))
    assert unknown == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("estimator", FAMILY, ids=lambda e: e.name)
def test_the_weights_that_are_judged_have_mean_one_and_the_square_that_they_say(estimator):
    reward = np.ones(6)
    mean = square = said = 0.0
    for p, batch in outcomes(reward):
        low, _ = shrinkage_bounds(estimator, batch, *RANGE)
        mean, square = mean + p * low.weight.mean(), square + p * (low.weight**2).mean()
        said += p * low.expected_square.mean()
    assert mean == pytest.approx(1.0)
    assert said == pytest.approx(square)


def log(seed, n=4000):
    """A clipped estimate is of use here: a fifth of the target is on items hardly ever shown."""
    g = np.random.default_rng(seed)
    logger, target = np.array([0.6, 0.399, 0.001]), np.array([0.5, 0.3, 0.2])
    action = g.choice(3, n, p=logger)
    return EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * 3,
        target=np.tile(target, n),
        shown=np.arange(n) * 3 + action,
        propensity=logger[action],
        rewards=(g.random(n) < np.array([0.1, 0.2, 0.3])[action])[:, None].astype(float),
        objectives=("click",),
        candidate_propensity=np.tile(logger, n),
    )


COINS = np.zeros(1), np.ones(1)
TRUTH = 0.5 * 0.1 + 0.3 * 0.2 + 0.2 * 0.3


def test_a_bounded_clip_is_certified_where_ips_is_not_and_covers():
    """The bias of the clip is far inside the bound, so all of 100 intervals hold the value.

    A log that hardly shows the rare item is refused: 1 of 50 shows none.
    """
    certified = 0
    for seed in range(100):
        batch = log(seed)
        assert not estimates(EvaluationState.of(ESTIMATORS["ips"](batch)))["click"].certified
        ends = shrinkage_bounds(ClippedIPS(5.0), batch, *COINS)
        found = bounded_estimates(*(EvaluationState.of(s) for s in ends))["click"]
        certified += found.certified
        assert found.lower <= TRUTH <= found.upper
        assert 0.09 < found.bias < 0.11
        assert found.estimator == "clipped_ips(clip=5)"
        assert found.to_json()["bias"] == found.bias
    assert certified >= 85


def test_parts_of_a_log_give_what_the_whole_gives():
    batch = log(0)
    whole = [EvaluationState.of(s) for s in shrinkage_bounds(ClippedIPS(5.0), batch, *COINS)]
    halves = [batch.take(np.arange(k, 4000, 2)) for k in (0, 1)]
    parts = [
        [EvaluationState.of(s) for s in shrinkage_bounds(ClippedIPS(5.0), h, *COINS)]
        for h in halves
    ]
    merged = [a.merge(b) for a, b in zip(*parts, strict=True)]
    one, two = (bounded_estimates(*s)["click"] for s in (whole, merged))
    for field in ("lower", "upper", "bias"):
        assert getattr(two, field) == pytest.approx(getattr(one, field), rel=1e-9)
    with pytest.raises(ValueError, match="lowest and of the highest"):
        bounded_estimates(whole[1], whole[0])
    with pytest.raises(ValueError, match="estimator"):
        whole[0].merge(whole[1])


def test_a_range_is_known_and_not_read_off_the_log(make_batch):
    batch = make_batch(missing=0.0)
    with pytest.raises(ValueError, match="outside its range"):
        shrinkage_bounds(ClippedIPS(), batch, np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="lowest < highest"):
        shrinkage_bounds(ClippedIPS(), batch, np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="one number an objective"):
        shrinkage_bounds(ClippedIPS(), batch, np.zeros(1), np.ones(1))


def test_unknown_rewards_are_left_out(make_batch):
    batch = make_batch(missing=0.3)
    low, high = shrinkage_bounds(ClippedIPS(2.0), batch, np.full(2, -9.0), np.full(2, 9.0))
    for scores in (low, high):
        assert np.isfinite(scores.numerator).all()
        assert (scores.numerator[~batch.used] == 0).all()
