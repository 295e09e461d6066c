"""Promote: move the alias, if a recorded decision says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pipelines.contract.context import NightContext
from pipelines.contract.deployment import AUTOMATIC, now
from pipelines.contract.fingerprints import of_json
from pipelines.contract.stage import Product


class Promote:
    """Makes the challenger champion on the gate's verdict or a person's word."""

    name = "promote"
    place: Literal["run"] = "run"
    sections = ("gate", "registry")
    form = 1

    def plan(self, context: NightContext) -> None:
        """Nothing is decided ahead: the ledger is read again under the registry's lock."""

    def inputs(self, context: NightContext, plan: None) -> dict[str, str]:
        """The verdict, and what people have said of this run."""
        verdict = context.run("gate").require().output_fingerprint()
        entries = context.registry.ledger.entries()
        words = [
            e.hash
            for e in entries
            if e.run_key == context.run_key and e.kind in {"approved", "rejected"}
        ]
        return {"verdict": verdict, "decisions": of_json(words)}

    def run(self, context: NightContext, plan: None, out: Path) -> Product:
        """Promote, refuse, or wait for a person."""
        from mrlm.promotion.moves.promote import promote

        place, gate = context.registry, context.settings.gate
        outcome = promote(place, context.run_key, gate, actor=AUTOMATIC, at=now())
        context.log(self.name).info("%s: %s", outcome.status, outcome.reason)
        champion, told = _after_watch(context, outcome.champion)
        result = {"verdict": outcome.status, "champion": champion, **told}
        (out / "outcome.json").write_text(json.dumps(result))
        return Product(
            outputs={"outcome": "outcome.json"}, counts={**result, "reason": outcome.reason}
        )


def _after_watch(context: NightContext, champion: int | None) -> tuple[int | None, dict[str, str]]:
    """The champion after the watch has had its say, and by kind of event what there is to tell."""
    from mrlm.promotion.moves.leave_shortfall import leave_shortfall

    gate, log = context.settings.gate, context.log("promote")
    try:
        left = leave_shortfall(context.registry, gate, context.run_key, actor=AUTOMATIC, at=now())
    except ValueError as error:
        # The advice stands, and a night is not lost for a version that cannot come back.
        log.error("the watch could not roll back: %s", error)
        return champion, {"fell_short": f"the watch could not roll back: {error}"}
    if left is None:
        return champion, {}
    told = f"version {left.champion} is champion again: {left.reason}"
    log.error("%s", told)
    return left.champion, {"rolled_back": told}


STAGE = Promote()
