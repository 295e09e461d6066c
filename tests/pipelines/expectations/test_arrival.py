"""Clock shifts by their signature: numbers in, rules out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipelines.expectations import arrival
from pipelines.expectations.arrival import ClockShift, clock_shift
from pipelines.expectations.suite import Rule
from pipelines.settings.ingestion import Ingestion
from pipelines.settings.validation import Validation

# Rows an hour of a day as people spend it: few at night, most in the evening.
DAY = np.array([20, 10, 5, 3, 2, 3, 8, 20, 40, 55, 60, 65, 75, 70, 65, 60, 65, 75, 90, 110, 120])
DAY = np.append(DAY, [110, 80, 45])


def by_hour(day: np.ndarray, shift: int = 0) -> dict[int, int]:
    """A day's rows whose files were cut by a clock that is ``shift`` hours ahead."""
    return {h - shift: int(n) for h, n in enumerate(day) if n}


def added(*parts: dict[int, int]) -> dict[int, int]:
    return {h: sum(p.get(h, 0) for p in parts) for h in set().union(*parts)}


def found(hours: dict[int, int], late: int = 0, future: int = 0) -> dict[str, float | None]:
    rows = sum(hours.values())
    table = {"raw": rows, "late": late, "quarantined": {"future_ts": future}}
    keys = {str(h): n for h, n in hours.items()}
    tables = arrival.TABLES
    return arrival.statistics(
        {"arrival_hours": dict.fromkeys(tables, keys)} | dict.fromkeys(tables, table)
    )


def broken(numbers: dict[str, float | None]) -> list[Rule]:
    """Rules of impressions that do not hold."""
    rules = arrival.statistic_rules(Validation(), Ingestion(), "impressions", numbers)
    return [r for r in rules if numbers[r.arguments["column"]] > r.arguments["max_value"]]


@pytest.mark.parametrize("shift", [-12, -8, -5, -3, 3, 5, 8, 9, 12, 24])
def test_a_shifted_day_is_named_with_its_hours(shift: int) -> None:
    said = clock_shift(by_hour(np.full(24, 50), shift))
    assert said == ClockShift(shift, pytest.approx(min(abs(shift), 24) / 24))
    seen = clock_shift(by_hour(DAY, shift))
    assert seen.hours == shift
    (rule,) = broken(found(by_hour(DAY, shift)))
    outside = sum(n for h, n in by_hour(DAY, shift).items() if not 0 <= h < 24)
    assert seen.share == outside / DAY.sum()
    assert rule.severity == ("critical" if seen.share > 0.05 else "warning")
    assert f"shifted by about {shift:+d} h against nights of UTC from 00:00" in rule.expected
    assert ("ingestion.time_zone" in rule.expected) == (abs(shift) <= 14)


@pytest.mark.parametrize(
    "hours",
    [
        by_hour(DAY),
        # Nobody is there from 22:00 to 07:00.
        by_hour(np.where((np.arange(24) < 7) | (np.arange(24) > 21), 0, DAY)),
        # Stragglers of the night before: a twentieth, and as many as tonight's.
        added(by_hour(DAY), by_hour(DAY // 20, 24)),
        added(by_hour(DAY), by_hour(DAY, 24)),
        # Nearly all of the night before, delivered late, and half of tonight's.
        added(by_hour(DAY // 2), by_hour(DAY, 24)),
        # The end of the day is missing, or its beginning.
        by_hour(np.where(np.arange(24) > 15, 0, DAY)),
        by_hour(np.where(np.arange(24) < 16, 0, DAY)),
        # Too few to tell.
        by_hour(np.ones(24), 8),
        {},
    ],
)
def test_what_is_no_shift_is_none(hours: dict[int, int]) -> None:
    assert clock_shift(hours) == ClockShift()
    assert broken(found(hours)) == []


def test_late_and_future_shares_are_checked_and_the_displacement_is_told() -> None:
    numbers = found(by_hour(DAY), late=150, future=60)
    assert [r.name for r in broken(numbers)] == ["late impressions", "impressions from the future"]
    assert {r.severity for r in broken(numbers)} == {"warning"}
    assert numbers["impressions_late_share"] == pytest.approx(150 / DAY.sum())
    flat = np.full(24, 10)
    assert abs(found(by_hour(flat))["feedback_displacement_hours"] or 9) <= 0.5
    assert found(by_hour(flat, 8))["feedback_displacement_hours"] == pytest.approx(-8, abs=0.5)
    assert found({})["feedback_displacement_hours"] is None


@pytest.mark.statistics
@pytest.mark.parametrize("draw", [lambda rng: rng.poisson(DAY / 10), lambda rng: rng.poisson(DAY)])
def test_true_nights_are_never_shifted(draw: Callable[[np.random.Generator], np.ndarray]) -> None:
    """2,000 nights of drawn counts with up to a tenth of stragglers; none may warn.

    A shift by s hours gains only where as many rows lie in the s hours before the night as in its
    last s, which a tenth of the same day's profile reaches with a chance below 1e-6.
    """
    rng = np.random.default_rng(11)
    for _ in range(1000):
        late = rng.uniform(0, 0.1)
        hours = added(by_hour(draw(rng)), by_hour(rng.poisson(DAY * late / 10), 24))
        assert broken(found(hours)) == []
