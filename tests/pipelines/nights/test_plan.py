from __future__ import annotations

import pytest

from pipelines.nights.plan import split

NIGHTS = [f"2026-11-{d:02d}" for d in range(1, 12)]


def test_fit_then_tune_then_gate() -> None:
    fit, tune, gate = split(NIGHTS[:8], set(), 2, 2, 60)
    assert (fit, tune, gate) == (NIGHTS[:4], NIGHTS[4:6], NIGHTS[6:8])


def test_a_night_is_judged_once() -> None:
    fit, tune, gate = split(NIGHTS[:9], {NIGHTS[6], NIGHTS[7]}, 2, 2, 60)
    assert (fit, tune, gate) == (NIGHTS[:6], NIGHTS[6:8], NIGHTS[8:9])


def test_without_a_fresh_night_there_is_no_gate() -> None:
    fit, tune, gate = split(NIGHTS[:9], set(NIGHTS[7:9]), 2, 2, 60)
    assert (fit, tune, gate) == (NIGHTS[:7], NIGHTS[7:9], [])


def test_old_nights_are_not_fitted_on() -> None:
    fit, _, _ = split(NIGHTS, set(), 2, 2, 3)
    assert fit == NIGHTS[4:7]


@pytest.mark.parametrize("n", range(12))
@pytest.mark.parametrize("judged", [(), (0,), (3, 4), (5, 6, 9), (10,), tuple(range(11))])
def test_the_three_are_disjoint_and_in_time_order(n: int, judged: tuple[int, ...]) -> None:
    used = {NIGHTS[j] for j in judged}
    fit, tune, gate = split(NIGHTS[:n], used, 2, 2, 60)
    together = [*fit, *tune, *gate]
    assert together == sorted(set(together))
    assert not used or min(gate, default="9") > max(used)
