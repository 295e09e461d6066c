from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from mrlm.behaviour.ensemble.calibration import Calibration, fit_calibration


@pytest.mark.statistics
def test_platt_finds_the_logistic_map() -> None:
    """Estimates of slope and intercept have standard errors below .03; six of them are allowed."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    y = (rng.random(len(x)) < expit(0.5 * x - 1.0)).astype(float)
    fitted = fit_calibration(x, y, binary=True)
    assert abs(fitted.slope - 0.5) < 0.15
    assert abs(fitted.intercept + 1.0) < 0.15
    assert abs(fitted(x).mean() - y.mean()) < 1e-3


def test_a_line_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    y = 2.0 * x + 3.0 + 0.1 * rng.normal(size=500)
    fitted = fit_calibration(x, y, binary=False)
    slope, intercept = np.polyfit(x, y, 1)
    assert fitted.slope == pytest.approx(slope)
    assert fitted.intercept == pytest.approx(intercept)


@pytest.mark.parametrize("binary", [True, False])
def test_a_head_worse_than_chance_becomes_constant(binary: bool) -> None:
    x = np.linspace(-1, 1, 400)
    y = (x < 0).astype(float)
    fitted = fit_calibration(x, y, binary)
    np.testing.assert_allclose(fitted(x), 0.5, atol=0.01)


@pytest.mark.parametrize("only", [0.0, 1.0])
def test_one_class_stays_inside_the_unit_interval(only: float) -> None:
    fitted = fit_calibration(np.linspace(-1, 1, 50), np.full(50, only), binary=True)
    values = fitted(np.linspace(-1, 1, 50))
    assert ((values > 0) & (values < 1)).all()
    assert abs(values.mean() - only) < 0.05


def test_unknown_rewards_are_left_out() -> None:
    x = np.array([0.0, 1.0, 2.0, 99.0])
    y = np.array([0.0, 1.0, 2.0, np.nan])
    fitted = fit_calibration(x, y, binary=False)
    assert fitted(x[:3]) == pytest.approx(y[:3])
    assert fit_calibration(x, np.full(4, np.nan), binary=False) == Calibration(False, 0.0, 0.0)
