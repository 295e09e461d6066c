"""Evidence of runs: of this one, and of the newest judged one, whose alarms and looks go on."""

from __future__ import annotations

import json
from contextlib import suppress

from mrlm.evidence.evidence import Evidence, evidence_fingerprint
from mrlm.promotion.record.ledger import Entry, judgement
from pipelines.contract.context import NightContext


def read_evidence(context: NightContext) -> Evidence:
    """The evidence of this run.

    Raises:
        MissingInputError: it has not been made.
        DamagedError: it is not as it was written.
    """
    evaluate = context.run("evaluate")
    evaluate.require()
    return Evidence.from_json(json.loads(evaluate.path("evidence.json").read_text()))


def newest_judged(context: NightContext, entries: tuple[Entry, ...]) -> tuple[str, Evidence | None]:
    """The newest judgement of another run whose evidence is there, by the ledger.

    Returns:
        Its run key, and the evidence; "" and None where there is none.
    """
    for entry in reversed(entries):
        if entry.kind == "judged" and entry.run_key != context.run_key:
            found = _evidence(context, entry)
            if found is not None:
                return entry.run_key, found
    return "", None


def judged_evidence(context: NightContext, run_key: str) -> Evidence | None:
    """The evidence that a run was judged on; None where it is gone."""
    entries = context.registry.ledger.entries()
    entry = judgement(entries, run_key)
    return None if entry is None else _evidence(context, entry)


def _evidence(context: NightContext, entry: Entry) -> Evidence | None:
    """From the run's folder, else from the registry; only what the ledger names by fingerprint."""
    from mrlm.promotion.registry.version_files import version_evidence, version_folder
    from mrlm.promotion.registry.versions import has_version

    path = context.run("evaluate", entry.run_key).folder / "evidence.json"
    with suppress(FileNotFoundError, ValueError, RecursionError):
        data = json.loads(path.read_bytes())
        if evidence_fingerprint(data) == entry.evidence:
            return Evidence.from_json(data)
    place = context.registry
    if entry.version is None or not has_version(place, entry.version):
        return None
    kept = version_evidence(version_folder(place, entry.version))
    return kept if kept is not None and kept.fingerprint() == entry.evidence else None
