"""A challenger that is the champion itself uses up no night."""

from __future__ import annotations

import pytest

from pipelines.nights.plan import plan_of
from pipelines.stages.evaluate import Evaluate
from tests.evidence.arrays import make_log
from tests.pipelines.nights.workspaces import Made, entry

NIGHTS = [f"2026-11-{d:02d}" for d in range(1, 9)]


@pytest.mark.parametrize(("moved", "gate"), [(True, NIGHTS[6:]), (False, [])])
def test_only_another_policy_is_tested(made: Made, moved: bool, gate: list[str]) -> None:
    for night in NIGHTS:
        made.passed(night)
    made.built(NIGHTS[-1], {n: make_log(n=2, users=2, nights=(n,)) for n in NIGHTS})
    made.record(entry("initial", "first", 1))
    context = made.context(NIGHTS[-1])
    made.complete(
        made.workspace.run_stage(context.run_key, "tune_weights"),
        "tune_weights",
        NIGHTS[-1],
        counts={"moved": moved, "reason": "no direction is significant"},
        run_key=context.run_key,
    )
    assert plan_of(context).gate == NIGHTS[6:]
    assert Evaluate().plan(context).gate == gate
