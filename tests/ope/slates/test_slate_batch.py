from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope.slates import UniformRankingPI, expected_examination, fit_control_variates
from mrlm.ope.slates.pi import pi_weight


@pytest.mark.parametrize(
    ("name", "place", "value", "match"),
    [
        ("propensity", 3, 0.0, r"row 3: the propensity must be in \(0, 1\]"),
        ("propensity", 3, np.nan, "row 3: the propensity"),
        ("propensity", 3, 1.2, "row 3: the propensity"),
        ("target", 5, -0.1, "row 5: the target probability"),
        ("target", 5, 1.1, "row 5: the target probability"),
        ("rewards", (4, 1), np.inf, "row 4: a reward is infinite"),
        ("q", (2, 0), np.nan, "row 2: a predicted value q"),
        ("v", (2, 0), np.inf, "row 2: a predicted value v"),
        ("examination", 1, 0.0, "row 1: the examination"),
        ("offsets", 5, 0, "row 4: one of the slates has no slots"),
    ],
)
def test_bad_values_name_their_row(name, place, value, match, make_slates):
    batch = make_slates("conditional")
    array = np.array(getattr(batch, name))
    array[place] = value
    with pytest.raises(ValueError, match=match):
        replace(batch, **{name: array})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"objectives": ("a",)}, "rewards must have shape"),
        ({"objectives": ("a", "a")}, "must differ"),
        ({"cluster": np.zeros(3, int)}, "cluster must have shape"),
        ({"cluster": np.zeros(60)}, "integers or strings"),
        ({"kind": "whole"}, "kind must be one of"),
        ({"kind": "exposure", "examination": None}, "needs the examination"),
        ({"offsets": np.array([0, 1])}, "offsets of the slates"),
        ({"offsets": np.array([0])}, "empty"),
    ],
)
def test_bad_shapes(change, match, make_slates):
    with pytest.raises(ValueError, match=match):
        replace(make_slates("conditional"), **change)


def test_the_probability_of_a_whole_slate_is_the_same_in_its_rows(make_slates):
    batch = make_slates("slate", equal=True)
    propensity = batch.propensity.copy()
    propensity[2] *= 0.5
    with pytest.raises(ValueError, match="row 2: the propensity of a whole slate"):
        replace(batch, propensity=propensity)


def test_expected_examination_by_hand():
    # A slate of one slot and a slate of two.
    at = np.array([0.5, 0.2, 0.3, 0.6, 0.1])
    found = expected_examination(at, np.array([0, 1, 3]), np.array([0.9, 0.8, 0.4]))
    assert found == pytest.approx([0.45, 0.2 * 0.8 + 0.3 * 0.4, 0.6 * 0.8 + 0.1 * 0.4])
    with pytest.raises(ValueError, match="L \\* L numbers"):
        expected_examination(at[:4], np.array([0, 1, 3]), np.array([0.9, 0.8, 0.4]))


def test_pi_weight_is_the_pseudo_inverse(make_slate_world):
    """q' Gamma^+ 1_s of Swaminathan et al. (2017), by linear algebra in each context."""
    batch, chance, _ = make_slate_world("independent", "any", 3)
    first = 9
    items = np.array([(a, 3 + b) for a in range(3) for b in range(3)])
    indicator = np.zeros((first, 6))
    indicator[np.arange(first)[:, None], items] = 1.0
    for context in (slice(0, first), slice(first, 2 * first)):
        p = 2 * chance[context]
        target = batch.target.reshape(-1, 2)[context].prod(1)
        gamma = (indicator * p[:, None]).T @ indicator
        expected = indicator @ np.linalg.pinv(gamma) @ (target @ indicator)
        assert pi_weight(batch)[context] == pytest.approx(expected, abs=1e-10)


def test_uniform_pi_weight_is_the_pseudo_inverse(make_slate_world):
    """The same by linear algebra for uniform rankings of two of three items."""
    batch, chance, _ = make_slate_world("marginal", "any", 3, even=True)
    assert chance == pytest.approx(np.full(12, 1 / 12))
    lists = [(a, b) for a in range(3) for b in range(3) if a != b]
    indicator = np.zeros((6, 6))
    indicator[np.arange(6)[:, None], [(a, 3 + b) for a, b in lists]] = 1.0
    gamma = indicator.T @ indicator / 6
    weight = UniformRankingPI()(batch).weight[:, 0]
    for context in (slice(0, 6), slice(6, 12)):
        marginal = np.zeros(6)
        for (a, b), (p, q) in zip(lists, batch.target.reshape(-1, 2)[context], strict=True):
            marginal[a], marginal[3 + b] = p, q
        assert weight[context] == pytest.approx(indicator @ np.linalg.pinv(gamma) @ marginal)


def test_uniform_pi_refuses_other_loggers(make_slates):
    with pytest.raises(ValueError, match=r"row \d+: uniform_pi needs a logger of uniformly"):
        UniformRankingPI()(make_slates("marginal"))
    with pytest.raises(ValueError, match="needs inclusion"):
        UniformRankingPI()(replace(make_slates("marginal", even=True), inclusion=None))


def test_control_variates_take_variance_away(make_slates):
    batch = make_slates("independent", n=4000, users=2000, missing=0.0, largest=3)
    plain = (pi_weight(batch)[:, None] * np.add.reduceat(batch.rewards, batch.offsets[:-1])).var(0)
    fitted = fit_control_variates(batch)
    score = fitted(batch).numerator[:, :, 0]
    assert (score.var(0) < plain).all()
    # Least squares: what is left does not correlate with any variate.
    for k in range(3):
        first = np.flatnonzero(batch.lengths > k)
        variate = np.zeros(len(batch))
        variate[first] = batch.ratio[batch.offsets[:-1][first] + k] - 1
        assert np.corrcoef(variate, score[:, 0])[0, 1] == pytest.approx(0, abs=1e-9)
