"""One solve is the posterior: against the textbook's form, and however the rows come."""

from __future__ import annotations

import numpy as np
import pytest

from mrlm.behaviour.uncertainty.last_layer import LastLayer


def rows(seed=0, n=12, f=4):
    g = np.random.default_rng(seed)
    root = g.normal(size=(f, f))
    prior = LastLayer(g.normal(size=f), root @ root.T)
    return prior, g.normal(size=(n, f)), g.normal(size=n), g.uniform(0.5, 2.0, n)


def test_the_posterior_is_that_of_the_textbook():
    prior, x, y, noise = rows()
    found = prior.adapted(x, y, noise)
    inverse = np.linalg.inv(prior.covariance)
    covariance = np.linalg.inv(inverse + (x.T / noise) @ x)
    assert found.covariance == pytest.approx(covariance)
    assert found.mean == pytest.approx(covariance @ (inverse @ prior.mean + (x.T / noise) @ y))


def test_rows_at_once_or_one_by_one_give_the_same():
    prior, x, y, noise = rows()
    step = prior
    for i in range(len(y)):
        step = step.adapted(x[i : i + 1], y[i : i + 1], noise[i : i + 1])
    whole = prior.adapted(x, y, noise)
    assert step.mean == pytest.approx(whole.mean)
    assert step.covariance == pytest.approx(whole.covariance)


def test_what_is_known_stays_and_what_is_not_gets_surer():
    prior, x, y, noise = rows()
    covariance = prior.covariance.copy()
    covariance[0] = covariance[:, 0] = 0.0
    prior = LastLayer(prior.mean, covariance)
    found = prior.adapted(x, y, noise)
    assert found.mean[0] == pytest.approx(prior.mean[0], abs=1e-12)
    assert found.covariance[0] == pytest.approx(0.0, abs=1e-12)
    assert (found.predicted(x)[1] < prior.predicted(x)[1]).all()


@pytest.mark.parametrize(
    ("x", "y", "noise", "said"),
    [
        (np.ones((2, 3)), np.ones(2), np.ones(2), "a layer of 4 coefficients"),
        (np.ones((2, 4)), np.ones(2), np.zeros(2), "above 0"),
    ],
)
def test_what_does_not_fit_is_refused(x, y, noise, said):
    with pytest.raises(ValueError, match=said):
        rows()[0].adapted(x, y, noise)
