"""Trials of the behaviour model's alternatives that an earlier run left to the next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipelines.contract.context import NightContext
from pipelines.failures.errors import DataError

if TYPE_CHECKING:
    from mrlm.meta.alternatives.alternatives_record import AlternativesRecord

# The output of learn_behaviour, and its file.
ALTERNATIVES = "alternatives"


def alternatives_after(context: NightContext, run_key: str) -> AlternativesRecord:
    """The trials up to a run; none where it tried none.

    Args:
        context: of tonight.
        run_key: of the run that tonight builds on; empty before the first.

    Raises:
        DataError: the record is of another schema.
    """
    from mrlm.meta.alternatives.alternatives_record import NOTHING_TRIED, AlternativesRecord

    if not run_key:
        return NOTHING_TRIED
    run = context.run("learn_behaviour", run_key)
    if ALTERNATIVES not in run.require().outputs:
        return NOTHING_TRIED
    try:
        return AlternativesRecord.from_json(
            json.loads(run.path(f"{ALTERNATIVES}.json").read_text())
        )
    except ValueError as error:
        raise DataError(f"run {run_key}: {error}") from error
