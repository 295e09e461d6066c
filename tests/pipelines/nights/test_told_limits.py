"""What a run's manifest keeps of its sentences reaches the review page in its language."""

from __future__ import annotations

import json

import pytest

from mrlm.messages.message import Message, recorded
from mrlm.messages.translation import translated
from pipelines.stages.gate import _facts
from tests.pipelines.nights.workspaces import Made

NIGHT = "2026-11-01"
LIMIT = Message("the guardrail {objective}", objective="click")


@pytest.mark.parametrize(
    ("kept", "told"),
    [({"messages": recorded([LIMIT])}, "护栏 click"), ({}, "the guardrail click")],
    ids=["now", "by an earlier code"],
)
def test_the_limits_of_the_step_keep_their_parts(
    made: Made, kept: dict[str, object], told: str
) -> None:
    context = made.context(NIGHT)
    folder = made.workspace.run_stage(context.run_key, "tune_weights")
    folder.mkdir(parents=True)
    (folder / "tuning.json").write_text("{}")
    counts = json.loads(json.dumps({"limited_by": [LIMIT], **kept}))
    outputs = {"tuning": "tuning.json"}
    made.complete(folder, "tune_weights", NIGHT, outputs, counts, run_key=context.run_key)
    limits = _facts(context, context.run_key).limited_by or ()
    assert [translated(limit, "zh") for limit in limits] == [told]
