"""What is open of a prediction: by itself, and in each behaviour model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.ensemble.storage import load_reward_model
from mrlm.behaviour.fitting.fit_posterior import with_posterior
from mrlm.behaviour.uncertainty.layer_posterior import (
    LayerPosterior,
    interval,
    satterthwaite,
    slope,
)

BOTH = LayerPosterior(np.zeros((2, 1, 1)), np.zeros(3), 1.0, level=0.4, taste=0.6, item=0.5)


def test_variance_falls_with_what_was_seen() -> None:
    length, rewards = BOTH.lengths(np.eye(3)), np.array([[0.0, 10.0, 10.0], [0.0, 10.0, 30.0]])
    found = BOTH.variance(length, np.array([0, 30, 30]), rewards)
    np.testing.assert_allclose(found, [1.5, 0.75, 0.5 + (0.25 + 0.125) / 2])


@pytest.mark.statistics
def test_an_interval_holds_a_normal_logit_as_often_as_it_says() -> None:
    """MacKay's curve is within .002 of the mean; the share's standard error is .0015."""
    rng = np.random.default_rng(0)
    true = expit(0.7 + 1.2 * rng.normal(size=40_000))
    expected = np.full(1, true.mean())
    spread = slope(expected, np.full(1, 1.44), binary=True) * 1.2
    low, high = interval(expected, spread, 0.9, binary=True)
    assert abs(((low <= true) & (true <= high)).mean() - 0.9) < 0.01
    assert 0 < low < expected < high < 1


def test_an_interval_of_a_graded_reward_is_its_normal_one() -> None:
    low, high = interval(np.array([3.0]), np.array([0.5]), 0.95, binary=False)
    np.testing.assert_allclose([low[0], high[0]], [3 - 0.98, 3 + 0.98], atol=1e-3)


@pytest.mark.statistics
def test_an_interval_of_an_estimated_variance_is_students() -> None:
    """The share's standard error is .0015; by a normal one it is .83."""
    rng = np.random.default_rng(0)
    true, variance = rng.normal(size=40_000), rng.chisquare(6, 40_000) / 6
    freedom = satterthwaite(1.0, 2 / 6)
    assert freedom == pytest.approx(6)
    low, high = interval(np.zeros(40_000), np.sqrt(variance), 0.9, binary=False, freedom=freedom)
    assert abs(((low <= true) & (true <= high)).mean() - 0.9) < 0.006


def test_degrees_of_freedom_have_limits() -> None:
    assert satterthwaite(1.0, 0.0) == np.inf
    assert satterthwaite(0.0, 1.0) == 3.0


def test_a_posterior_that_was_stored_without_them_takes_its_variances_to_be_known() -> None:
    arrays = replace(BOTH, freedom=7.0).arrays()
    again = LayerPosterior.from_arrays(arrays)
    assert again is not None
    assert again.freedom == 7.0
    spreads = arrays["posterior.spreads"]
    earlier = LayerPosterior.from_arrays(arrays | {"posterior.spreads": spreads[:-1]})
    assert earlier is not None
    assert (earlier.item, earlier.freedom) == (BOTH.item, np.inf)


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
def test_an_impossible_level_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval(np.array([0.5]), np.array([0.1]), level, binary=True)


@pytest.mark.statistics
def test_the_interval_holds_true_probabilities_of_later_nights(
    model: RewardModel, world: tuple[BanditLog, NDArray[np.float64]], later_log: BanditLog
) -> None:
    """The seed is fixed; the members' own spread holds less than .6 of them."""
    log, truth = world
    true = truth[:, 0].reshape(len(log), -1)[log.night >= later_log.night.min()].ravel()
    low, high = model.interval(later_log.decisions, 0.9)
    share = ((low <= true) & (true <= high)).mean()
    assert 0.8 < share < 0.98


def test_new_items_and_new_users_are_less_certain(model: RewardModel, later_log: BanditLog) -> None:
    decisions = later_log.decisions.take(np.arange(200))
    posterior = replace(BOTH, root=0 * model.posterior.root, centre=model.posterior.centre)  # type: ignore[union-attr]
    own = replace(model, posterior=posterior)
    new = replace(decisions, since=decisions.until)

    def variance(of: RewardModel, asked: object) -> NDArray[np.float64]:
        values = of.score(asked)  # type: ignore[arg-type]
        ratio = values[:, -1] / (values[:, 0] * (1 - values[:, 0]))
        return ratio**2 / (1 - np.pi / 8 * ratio**2)

    assert (variance(own, new) > variance(own, decisions)).all()
    unknown = [
        replace(m, statistics=replace(m.statistics, item_id=m.statistics.item_id + "?"))
        for m in own.members
    ]
    stranger = replace(own, members=tuple(unknown))
    known = np.isin(decisions.catalog.item_id, own.items)[decisions.candidates.values]
    assert known.any()
    more = variance(stranger, decisions) > variance(own, decisions)
    assert (more == known).all()


def test_where_no_two_rows_tell_it_nothing_is_known_of_users(
    model: RewardModel, fit_log: BanditLog
) -> None:
    """One decision of each user: no two outcomes say together how wrong the model is about it."""
    newest = fit_log.on_nights(sorted(set(fit_log.night.astype(str)))[-1:])
    alone = newest.take(np.sort(np.unique(newest.decisions.user, return_index=True)[1]))
    found = with_posterior(model, alone, nights=1).posterior
    assert found is not None
    if model.binary[model.heads.index(model.north_star)]:
        assert (found.level, found.taste) == (10.0, 0.0)
    low, high = replace(model, posterior=found).interval(alone.decisions, 0.9)
    assert (high - low).mean() > 0.8


def test_a_model_of_an_earlier_format_keeps_its_own_uncertainty(
    model: RewardModel, later_log: BanditLog, tmp_path: Path
) -> None:
    earlier = replace(model, posterior=None)
    earlier.save(tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["format"] in (1, 2)
    again = load_reward_model(tmp_path)
    assert again.posterior is None
    decisions = later_log.decisions.take(np.arange(100))
    assert (again.score(decisions) == earlier.score(decisions)).all()
    assert (again.score(decisions)[:, :-1] == model.score(decisions)[:, :-1]).all()
