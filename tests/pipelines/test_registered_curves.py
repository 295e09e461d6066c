"""What a version is registered with: the curves that its run's stages kept."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from mrlm.metrics.curves import Curves
from pipelines.stages.register import curves_of


def test_curves_come_from_the_run_that_made_the_challenger() -> None:
    curves = Curves()
    curves.add("0/loss", 1, 0.5)
    curves.add("0/loss", 2, 0.25)
    # As a manifest gives it back.
    kept = {"learn_behaviour": {"curves": json.loads(json.dumps(curves.points))}}

    def run(stage: str, key: str) -> Any:
        assert key == "2026-11-12/abc"
        manifest = SimpleNamespace(counts=kept[stage]) if stage in kept else None
        return SimpleNamespace(manifest=lambda: manifest)

    context: Any = SimpleNamespace(run=run)
    named = {"reward_model/0/loss": [(1, 0.5), (2, 0.25)]}
    assert curves_of(context, "2026-11-12/abc").points == named
    # A run of earlier code has the stage, and kept none.
    kept["learn_policy"] = {}
    assert curves_of(context, "2026-11-12/abc").points == named
    kept["learn_policy"] = {"curves": {"poem/held_back_value": [[4, 0.3]]}}
    assert curves_of(context, "2026-11-12/abc").points == {
        **named,
        "learner/poem/held_back_value": [(4, 0.3)],
    }
