"""Which nights a night builds again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.stages import stage_named
from tests.evidence.arrays import make_log
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
