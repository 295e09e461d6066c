"""A small fixed sample of ``python -m benchmarks promotion.harm``."""

from __future__ import annotations

import pytest

from benchmarks.promotion.harm import World, named

WORLDS = [World(seed) for seed in range(6)]


@pytest.mark.statistics
@pytest.mark.parametrize("harm", ["scene", "history", "guardrail"])
def test_harm_is_named_and_its_twin_promoted(harm: str) -> None:
    """Fixed seeds; refused with probability .95 and more: fewer than 4 of 6 has a chance of .002.
    The twins gain in every group."""
    assert sum(named(w.judged(harm, True), harm) for w in WORLDS) >= 4
    assert all(w.judged(harm, False).promote for w in WORLDS)
