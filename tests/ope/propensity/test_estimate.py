from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState, difference, estimates
from mrlm.ope.embedded import MIPS, cluster_weight
from mrlm.ope.propensity import (
    calibration_table,
    estimate_propensities,
    fit_logit,
    flagged,
    flagged_state,
)
from mrlm.ope.propensity.calibrate import fit_isotonic, fit_temperature

ITEMS = 12


def world(seed, n=4000, users=400, sharpness=1.0):
    """A ragged log whose logger is a logit of two features and of the item."""
    g = np.random.default_rng(seed)
    lengths = g.integers(2, 9, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    item = np.concatenate([g.choice(ITEMS, k, replace=False) for k in lengths])
    features = g.normal(size=(offsets[-1], 2))
    logits = sharpness * (features @ [1.0, -0.5] + np.linspace(-1, 1, ITEMS)[item])
    logger = np.exp(segment_log_softmax(logits, offsets))
    shown = draw(logger, offsets, g)
    return features, offsets, shown, g.integers(0, users, n), item, logger


def draw(p, offsets, g):
    """One candidate a round, by the inverse of the cumulative sum."""
    total = np.concatenate([[0.0], np.cumsum(p)])
    at = total[offsets[:-1]] + g.random(len(offsets) - 1) * (
        total[offsets[1:]] - total[offsets[:-1]]
    )
    return np.clip(np.searchsorted(total, at, side="right") - 1, offsets[:-1], offsets[1:] - 1)


def test_gradient_agrees_with_a_general_optimiser_on_a_small_log():
    features, offsets, shown, _, item, _ = world(0, n=60)
    found = fit_logit(features, offsets, shown, item, ITEMS, ridge=2.0)
    scale = features.std(0)

    def loss(beta, intercepts):
        logits = features @ beta + intercepts[item]
        own = -segment_log_softmax(logits, offsets)[shown].sum()
        return own + 1.0 * (((beta * scale) ** 2).sum() + (intercepts**2).sum())

    best = loss(found.coefficients, found.intercepts)
    g = np.random.default_rng(1)
    for _ in range(200):
        step = 1e-3 * g.normal(size=2 + ITEMS)
        assert loss(found.coefficients + step[:2], found.intercepts + step[2:]) > best


@pytest.mark.statistics
@pytest.mark.parametrize("calibrate", ["temperature", "isotonic", "none"])
def test_recovers_the_propensities_of_a_known_logger(calibrate):
    """One seed a form; the error of 13 parameters from 3200 rounds is about 0.01 in probability."""
    features, offsets, shown, cluster, item, logger = world(1)
    found = estimate_propensities(features, offsets, shown, cluster, item, calibrate=calibrate)
    assert np.add.reduceat(found.candidate_propensity, offsets[:-1]) == pytest.approx(1.0)
    limit = 0.05 if calibrate == "isotonic" else 0.02
    assert np.sqrt(np.mean((found.candidate_propensity - logger) ** 2)) < limit
    assert np.array_equal(found.propensity, found.candidate_propensity[shown])
    assert found.any_estimated
    assert found.estimated.all()
    assert found.log_loss < found.uniform_log_loss
    assert found.to_json()["estimated"] is True
    # What was drawn is as likely as predicted, in every bin: 10 bins, |z| < 4.5 in all.
    assert max(abs(b.z) for b in found.calibration) < 4.5


@pytest.mark.statistics
def test_estimates_use_other_users_only():
    features, offsets, shown, cluster, item, _ = world(2, n=600)
    before = estimate_propensities(features, offsets, shown, cluster, item, calibrate="none")
    fold = np.unique(cluster, return_inverse=True)[1] % 5
    moved = shown.copy()
    own = np.flatnonzero(fold == 0)
    moved[own] = offsets[:-1][own]
    after = estimate_propensities(features, offsets, moved, cluster, item, calibrate="none")
    row = np.repeat(fold, np.diff(offsets))
    assert np.allclose(
        before.candidate_propensity[row == 0], after.candidate_propensity[row == 0], atol=1e-9
    )
    assert np.abs(before.candidate_propensity - after.candidate_propensity)[row == 1].max() > 1e-3


def test_known_propensities_are_kept_and_candidates_sum_to_one():
    features, offsets, shown, cluster, item, logger = world(3, n=500)
    known = logger[shown].copy()
    known[::2] = np.nan
    found = estimate_propensities(features, offsets, shown, cluster, item, known)
    assert np.array_equal(found.propensity[1::2], known[1::2])
    assert found.estimated.tolist() == np.isnan(known).tolist()
    assert np.allclose(found.candidate_propensity[shown], found.propensity)
    assert np.allclose(np.add.reduceat(found.candidate_propensity, offsets[:-1]), 1)
    all_known = estimate_propensities(features, offsets, shown, cluster, item, logger[shown])
    assert not all_known.any_estimated


@pytest.mark.statistics
def test_a_logger_that_the_model_cannot_hold_is_found():
    """Ten logs of 10 bins at |z| < 4.5: below 1e-3 that the right model fails one."""
    for seed in range(10):
        features, offsets, shown, cluster, item, _ = world(seed, n=3000, sharpness=1.5)
        right = estimate_propensities(features, offsets, shown, cluster, item, calibrate="none")
        assert max(abs(b.z) for b in right.calibration) < 4.5
        # The model sees the logger's features through a map that it cannot undo.
        bent = np.sign(features) * np.abs(features) ** 4
        wrong = estimate_propensities(bent, offsets, shown, cluster, calibrate="none")
        assert wrong.log_loss > right.log_loss
        assert max(abs(b.z) for b in wrong.calibration) > 4.5


def test_temperature_and_isotonic_undo_a_known_distortion():
    features, offsets, shown, _, item, _ = world(5, n=8000)
    logits = features @ [1.0, -0.5] + np.linspace(-1, 1, ITEMS)[item]
    assert fit_temperature(3.0 * logits, offsets, shown) == pytest.approx(3.0, rel=0.1)
    sharp = np.exp(segment_log_softmax(3.0 * logits, offsets))
    true = np.exp(segment_log_softmax(logits, offsets))
    mended = fit_isotonic(sharp, shown)(sharp, offsets)
    assert (mended > 0).all()
    assert np.abs(mended - true).mean() < 0.3 * np.abs(sharp - true).mean()


def test_isotonic_map_by_hand():
    probability = np.array([0.1, 0.2, 0.2, 0.5, 0.9])
    found = fit_isotonic(probability, np.array([3, 4, 4]))
    assert found.at.tolist() == [0.1, 0.2, 0.5, 0.9]
    assert found.value.tolist() == pytest.approx([1 / 6, 1 / 6, 1.0, 2.0])


@pytest.mark.statistics
def test_calibration_table_holds_for_the_truth_and_not_for_a_distortion():
    """20 logs of 10 bins at |z| < 4.5: below 2e-3 that a true one fails."""
    for seed in range(20):
        _, offsets, shown, cluster, _, logger = world(seed, n=1500)
        table = calibration_table(logger, offsets, shown, cluster)
        assert max(abs(b.z) for b in table) < 4.5
        assert sum(b.candidates for b in table) == len(logger)
        assert sum(b.observed * b.candidates for b in table) == pytest.approx(1500)
        square = logger**2
        sharp = square / np.repeat(np.add.reduceat(square, offsets[:-1]), np.diff(offsets))
        assert max(abs(b.z) for b in calibration_table(sharp, offsets, shown, cluster)) > 4.5


def batch_of(seed):
    features, offsets, shown, cluster, item, logger = world(seed, n=2000, users=2000)
    g = np.random.default_rng(seed + 100)
    target = np.exp(segment_log_softmax(g.normal(size=len(logger)), offsets))
    batch = EvaluationBatch(
        cluster=cluster,
        offsets=offsets,
        target=target,
        shown=shown,
        propensity=logger[shown],
        rewards=(g.random(2000) < 0.2 + 0.05 * (item[shown] % 4))[:, None].astype(float),
        objectives=("click",),
        candidate_propensity=logger,
    )
    return batch, estimate_propensities(features, offsets, shown, cluster, item), item


def test_the_flag_travels_with_everything():
    batch, found, item = batch_of(0)
    estimated = found.apply(batch)
    plain = EvaluationState.of(ESTIMATORS["ips"](batch))
    scores = flagged(ESTIMATORS["ips"](estimated))
    state = EvaluationState.of(scores)
    assert "estimated propensities" in state.estimator
    with pytest.raises(ValueError, match="different estimator"):
        plain.merge(state)
    refused = estimates(state)["click"]
    assert not refused.certified
    assert "estimated propensities" in refused.certificate.reason
    known = flagged(ESTIMATORS["ips"](estimated), no_hidden_confounding=True)
    held = estimates(EvaluationState.of(known))["click"]
    assert held.certified
    assert "estimated propensities" in held.estimator
    assert held.diagnostics[0].unsupported_mass is None
    other = ESTIMATORS["ips"](replace(estimated, policy="second"))
    assert "estimated propensities" in difference(scores, flagged(other)).estimator
    embedded = MIPS()(estimated, cluster_weight(estimated, item % 3, estimated=True))
    assert embedded.estimator == "mips (estimated weights)"
    assert not flagged(embedded, no_hidden_confounding=True).covers_policy_value


@pytest.mark.statistics
def test_values_with_estimated_propensities_agree_with_those_of_the_true_ones():
    """Ten logs, two estimators; no difference reaches 2 standard errors of the estimate."""
    for seed in range(10):
        batch, found, _ = batch_of(seed)
        for name in ("ips", "snips"):
            true = estimates(EvaluationState.of(ESTIMATORS[name](batch)))["click"]
            got = estimates(EvaluationState.of(ESTIMATORS[name](found.apply(batch))))["click"]
            assert abs(got.value - true.value) < 2 * true.standard_error


def test_wrong_input_is_refused():
    features, offsets, shown, cluster, item, _ = world(6, n=50)
    with pytest.raises(ValueError, match="features must have one row"):
        estimate_propensities(features[:-1], offsets, shown, cluster)
    bad = features.copy()
    bad[3, 0] = np.nan
    with pytest.raises(ValueError, match="candidate 3: a feature is not finite"):
        estimate_propensities(bad, offsets, shown, cluster)
    with pytest.raises(ValueError, match="not among its candidates"):
        estimate_propensities(features, offsets, shown + 100, cluster)
    with pytest.raises(ValueError, match="a user for each"):
        estimate_propensities(features, offsets, shown, np.zeros(50, np.int64))
    with pytest.raises(ValueError, match="known must have shape"):
        estimate_propensities(features, offsets, shown, cluster, item, np.ones(3))
    with pytest.raises(ValueError, match="known propensities"):
        estimate_propensities(features, offsets, shown, cluster, item, np.zeros(50))


@pytest.mark.parametrize("sure", [False, True])
def test_a_state_is_flagged_like_its_scores(make_batch, sure):
    scores = ESTIMATORS["ips"](make_batch(missing=0.3))
    late = flagged_state(EvaluationState.of(scores), sure)
    early = EvaluationState.of(flagged(scores, sure))
    for name, value in vars(early).items():
        np.testing.assert_array_equal(getattr(late, name), value)
