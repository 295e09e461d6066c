"""What people are told of rewards that are not all known."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.care.reward_standing import reward_lines
from tests.evidence.arrays import OBJECTIVES
from tests.pipelines.nights.test_deliveries import NIGHTS, at
from tests.pipelines.nights.workspaces import Made

EVENT = next(o.event for o in OBJECTIVES if o.name == "delight")


def arrived(made: Made, night: str, attributed: int, late: dict[str, int]) -> None:
    """A night on which events came, some of them of earlier nights after their window."""
    made.passed(night)
    counts: dict[str, Any] = {
        "reopened": [],
        "events": {EVENT: {"attributed": attributed}},
        "late_events": {EVENT: late},
    }
    made.complete(made.workspace.lake_stage(night, "ingest"), "ingest", night, counts=counts)


def built(made: Made, night: str, unknown: int = 0) -> None:
    """A night's log, with so many rewards of delight that are unknown."""
    folder = made.workspace.lake_stage(night, "build_log")
    (folder / f"night={night}").mkdir(parents=True)
    final = {o.name: True for o in OBJECTIVES}
    own = {"decisions": 200, "final": final, "unknown": {"delight": unknown}}
    counts = {"nights": {night: own}, "final": {night: final}}
    outputs = {f"night={night}": f"night={night}"}
    made.complete(folder, "build_log", night, outputs, counts)


@pytest.mark.parametrize(("late", "told"), [(3, False), (30, True)])
def test_many_late_events_are_told_of_the_night_that_they_belong_to(
    made: Made, late: int, told: bool
) -> None:
    for night in NIGHTS[:2]:
        arrived(made, night, 50, {})
    arrived(made, NIGHTS[2], 50, {NIGHTS[0]: late})
    for night in NIGHTS[:2]:
        built(made, night)
    lines = [line for line in reward_lines(at(made, NIGHTS[2]), NIGHTS[:2]) if "delight" in line]
    late_lines = [line for line in lines if "after its window" in line]
    assert [line[:10] for line in late_lines] == [NIGHTS[0]] * told
    if told:
        assert "30 events came after its window of 1 nights" in late_lines[0]
        assert "beside 100 in time" in late_lines[0]


@pytest.mark.parametrize("unknown", [0, 3])
def test_what_makes_unknown_rewards_known_is_told_once(made: Made, unknown: int) -> None:
    for night in NIGHTS[:3]:
        arrived(made, night, 50, {})
    for night in NIGHTS[:2]:
        built(made, night, unknown)
    lines = list(reward_lines(at(made, NIGHTS[2]), NIGHTS[:2]))
    assert sum("'mrlm accept NIGHT" in line for line in lines) == (1 if unknown else 0)
    if unknown:
        assert "'mrlm accept NIGHT" in lines[-1]
        assert "delivered again" in lines[-1]
