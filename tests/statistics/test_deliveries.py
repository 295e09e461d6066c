"""A small fixed sample of ``python -m benchmarks deliveries``: losses are found, and bounded."""

from __future__ import annotations

import pytest

from benchmarks.deliveries import outcome


@pytest.mark.statistics
def test_a_loss_is_found_and_its_interval_holds_where_zeros_would_not() -> None:
    """One log with a fixed seed: at this size the rates find such a loss nearly always."""
    found = outcome("40 % at random", 0)
    assert found.found
    assert found.covered
    assert not found.as_zeros


@pytest.mark.statistics
def test_what_rates_do_not_find_the_loggers_own_count_bounds() -> None:
    """One log with a fixed seed."""
    found = outcome("5 % at random", 1)
    assert not found.found
    assert found.told == "bounded"
    assert found.bounded
    assert found.width[1] > 1.5
