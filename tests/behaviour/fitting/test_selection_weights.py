from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.behaviour._worlds.biased_world import biased_world
from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.calibration import fit_calibration
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.fitting.selection_weights import selection_weights
from mrlm.behaviour.networks.head_loss import head_loss
from mrlm.behaviour.settings import BehaviourSettings

SMALL = BehaviourSettings(model="pair", folds=2, components=6, hidden=16, projection=4, epochs=8)


def test_a_weight_is_one_over_candidates_times_propensity_clipped_of_mean_one(
    fit_log: BanditLog,
) -> None:
    log = fit_log.take(np.arange(4))
    m = log.decisions.candidates.lengths
    log = replace(log, propensity=np.array([1.0, 0.5, 0.25, 0.01]) / m)
    np.testing.assert_allclose(selection_weights(log, 8.0), np.array([1, 2, 4, 8]) / 3.75)


def test_uniform_shows_weigh_alike_and_change_no_model(fit_log: BanditLog) -> None:
    uniform = replace(fit_log, propensity=1.0 / fit_log.decisions.candidates.lengths)
    weights = selection_weights(uniform, 10.0)
    np.testing.assert_allclose(weights, 1.0)
    plain = fit_reward_model(uniform, SMALL, 1).score(uniform.decisions)
    weighed = SMALL.model_copy(update={"selection_clip": 10.0})
    again = fit_reward_model(uniform, weighed, 1).score(uniform.decisions)
    np.testing.assert_allclose(plain, again, atol=1e-5)


def test_rows_without_propensity_and_small_clips_are_refused(fit_log: BanditLog) -> None:
    missing = fit_log.propensity.copy()
    missing[:3] = np.nan
    with pytest.raises(ValueError, match=f"3 of {len(fit_log)} rows have no propensity"):
        selection_weights(replace(fit_log, propensity=missing), 10.0)
    with pytest.raises(ValueError, match="give 1 or more"):
        selection_weights(fit_log, 0.5)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    rng = np.random.default_rng(0)
    outputs, wanted = torch.from_numpy(rng.normal(size=(2, 6, 2)))
    wanted[:, 0] = (wanted[:, 0] > 0).double()
    binary, twice = torch.tensor([True, False]), torch.tensor([0, 1, 2, 3, 3, 4, 5, 5])
    weight = torch.bincount(twice).double()[:, None].expand(6, 2)
    torch.testing.assert_close(
        head_loss(outputs, wanted, weight, binary),
        head_loss(outputs[twice], wanted[twice], torch.ones(8, 2, dtype=torch.float64), binary),
    )


@pytest.mark.parametrize("binary", [True, False])
def test_calibration_counts_a_row_as_often_as_it_weighs(binary: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=900)
    y = (rng.random(900) < 1 / (1 + np.exp(-x))).astype(float)
    count = rng.integers(1, 4, 900)
    weighed = fit_calibration(x, y, binary, count / 2.0)
    repeated = fit_calibration(np.repeat(x, count), np.repeat(y, count), binary)
    # Platt's one success and one failure more count a little more among fewer rows.
    tolerance = 0.005 if binary else 1e-9
    assert weighed.slope == pytest.approx(repeated.slope, abs=tolerance)
    assert weighed.intercept == pytest.approx(repeated.intercept, abs=tolerance)


@pytest.mark.statistics
def test_weights_take_off_what_a_logger_that_knows_tastes_puts_on() -> None:
    """Over seeds the rest of the bias is .4 of it, with a spread of .13: one in 100 would fail."""
    world = biased_world(3, 120, confounded=True, placed=False)
    weighed = SMALL.model_copy(update={"selection_clip": 10.0})
    bias = [
        float(fit_reward_model(world.fit, s, 0).score(world.later)[:, 0].mean())
        - float(world.truth.mean())
        for s in (SMALL, weighed)
    ]
    assert world.fit.rewards[:, 0].mean() > world.truth.mean() + 0.03
    assert bias[0] > 0.03
    assert abs(bias[1]) < 0.75 * bias[0]
