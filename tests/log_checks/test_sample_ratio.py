from __future__ import annotations

import numpy as np
import pytest

from mrlm.log_checks.sample_ratio import against_nights, against_shares


def test_arms_with_the_wrong_shares_are_named() -> None:
    found = against_shares({"a": 5_300, "b": 4_700, "fallback": 40}, {"a": 0.5, "b": 0.5})
    assert found.chance < 1e-8
    assert found.expected == {"a": 5_000, "b": 5_000}
    assert found.worst in {"a", "b"}
    assert against_shares({"a": 5_030, "b": 4_970}, {"a": 1, "b": 1}).chance > 0.4
    # An arm that answered nobody is the clearest case of all.
    assert against_shares({"a": 200}, {"a": 0.5, "b": 0.5}).chance < 1e-20
    assert against_shares({}, {"a": 0.5, "b": 0.5}).chance == 1


@pytest.mark.statistics
@pytest.mark.parametrize("total", [20, 400, 20_000])
def test_true_shares_are_called_wrong_as_often_as_said(total: int) -> None:
    """At an error of 0.02: 4,000 draws, right code fails 1 in 1,000 (0.02 and 3.3 errors)."""
    rng = np.random.default_rng(total)
    shares = {"a": 0.6, "b": 0.3, "c": 0.1}
    draws = rng.multinomial(total, list(shares.values()), 4_000)
    wrong = [
        against_shares(dict(zip(shares, map(float, d), strict=True)), shares).chance < 0.02
        for d in draws
    ]
    assert np.mean(wrong) < 0.02 + 3.3 * np.sqrt(0.02 * 0.98 / 4_000)


@pytest.mark.statistics
@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_nights_that_vary_vary_more_before_they_are_called_wrong(spread: float) -> None:
    """Seven trailing nights, at an error of 0.02: 3,000 draws, right code fails 1 in 1,000."""
    rng = np.random.default_rng(7)
    wrong = []
    for _ in range(3_000):
        nights = []
        for _ in range(8):
            share = np.clip(0.5 + spread * rng.normal(), 0.05, 0.95)
            many = int(2_000 * np.exp(0.2 * rng.normal()))
            a = float(rng.binomial(many, share))
            nights.append({"a": a, "b": many - a})
        found = against_nights(nights[-1], nights[:-1])
        assert found is not None
        wrong.append(found.chance < 0.02)
    assert np.mean(wrong) < 0.02 + 3.3 * np.sqrt(0.02 * 0.98 / 3_000)


def test_a_share_that_moved_more_than_ever_is_found() -> None:
    usual = [{"a": 1_000.0 + d, "b": 1_000.0 - d} for d in (-20, 10, 5, -12, 30, 0, 8)]
    moved = against_nights({"a": 1_300.0, "b": 700.0}, usual)
    assert moved is not None
    assert moved.chance < 1e-4
    assert against_nights({"a": 10.0}, usual) is None
    assert against_nights({"a": 1_000.0, "b": 900.0}, usual[:2]) is None
