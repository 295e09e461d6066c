"""Which nights a night builds again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipelines.stages import stage_named
from pipelines.stages.build_log import meaning_of
from tests.evidence.arrays import OBJECTIVES, make_log
from tests.pipelines.nights.workspaces import Made

NIGHTS = tuple(f"2026-11-1{d}" for d in range(5))


@pytest.mark.parametrize("older", [0, 1])
def test_logs_of_an_earlier_form_are_built_anew_and_others_are_not(
    tmp_path: Path, older: int
) -> None:
    made = Made(tmp_path)
    for night in NIGHTS:
        made.passed(night)
    for night in NIGHTS[:2]:
        made.built(night, {night: make_log(n=6, nights=(night,))}, final=(), form=older)
    made.built(NIGHTS[3], {n: make_log(n=6, nights=(n,)) for n in NIGHTS[2:4]}, final=NIGHTS[2:3])
    tonight = made.context(NIGHTS[4])
    # The window of the night before closes tonight; that of the one before it has.
    again = [*NIGHTS[:2], *NIGHTS[3:]]
    assert stage_named("build_log").plan(tonight).nights == again
    # As of the night before: what tonight has built is no reason to build less of it.
    made.built(NIGHTS[4], {n: make_log(n=6, nights=(n,)) for n in again})
    assert stage_named("build_log").plan(tonight).nights == again


def workspace_of(tmp_path: Path, lost: int = 0, meaning: str | None = None) -> Made:
    """Nights whose windows are closed, each with its own log."""
    made = Made(tmp_path)
    for night in NIGHTS:
        made.passed(night)
    for night in NIGHTS[:3]:
        made.built(night, {night: make_log(n=6, nights=(night,))}, lost=lost, meaning=meaning)
    return made


@pytest.mark.parametrize(
    "changed",
    [
        {"objectives": [{**asdict(OBJECTIVES[0]), "event": "joy"}, *map(asdict, OBJECTIVES[1:])]},
        {"state": {"history_objective": "delight", "history_length": 7}},
        {"ingestion": {"session_gap_minutes": 5}},
    ],
    ids=["objectives", "state", "ingestion"],
)
def test_settings_that_change_what_rows_mean_build_every_log_anew(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    stage = stage_named("build_log")
    made = workspace_of(tmp_path, meaning=meaning_of(Made(tmp_path).context(NIGHTS[4])))
    assert NIGHTS[0] not in stage.plan(made.context(NIGHTS[4])).nights
    assert set(NIGHTS[:3]) <= set(stage.plan(made.context(NIGHTS[4], **changed)).nights)


def test_what_an_objective_is_for_and_what_follows_build_no_log_anew(tmp_path: Path) -> None:
    objectives = [{**asdict(OBJECTIVES[0]), "missing": 0.0}, *map(asdict, OBJECTIVES[1:])]
    before = Made(tmp_path).context(NIGHTS[4], objectives=objectives)
    made = workspace_of(tmp_path, meaning=meaning_of(before))
    objectives[0] |= {"unit": "delights a slot", "discount": 0.9}
    tonight = made.context(NIGHTS[4], objectives=objectives)
    assert NIGHTS[0] not in stage_named("build_log").plan(tonight).nights


def test_a_corrected_count_of_lost_events_builds_its_logs_anew(tmp_path: Path) -> None:
    made = workspace_of(tmp_path, lost=40)
    # No delivery says any more that events are lost.
    assert NIGHTS[0] in stage_named("build_log").plan(made.context(NIGHTS[4])).nights
