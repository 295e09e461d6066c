"""Promote: move the alias, if a recorded decision says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.registry import AUTOMATIC, now, place_of
from pipelines.contract.stage import Product, require


class Promote:
    """Makes the challenger champion on the gate's verdict or a person's word."""

    name = "promote"
    place: Literal["run"] = "run"
    sections = ("gate", "registry")
    form = 1

    def inputs(self, context: NightContext) -> dict[str, str]:
        """The verdict, and what people have said of this run."""
        folder = context.workspace.run_stage(context.run_key, "gate")
        verdict = require(folder, "gate", context.night).output_fingerprint()
        entries = place_of(context.settings, context.workspace).ledger.entries()
        words = [
            e.hash
            for e in entries
            if e.run_key == context.run_key and e.kind in {"approved", "rejected"}
        ]
        return {"verdict": verdict, "decisions": of_json(words)}

    def run(self, context: NightContext, out: Path) -> Product:
        """Promote, refuse, or wait for a person."""
        from mrlm.promotion.moves.promote import promote

        outcome = promote(
            place_of(context.settings, context.workspace),
            context.run_key,
            context.settings.gate,
            actor=AUTOMATIC,
            at=now(),
        )
        context.log(self.name).info("%s: %s", outcome.status, outcome.reason)
        result = {"verdict": outcome.status, "champion": outcome.champion}
        (out / "outcome.json").write_text(json.dumps(result))
        return Product(
            outputs={"outcome": "outcome.json"}, counts={**result, "reason": outcome.reason}
        )


STAGE = Promote()
