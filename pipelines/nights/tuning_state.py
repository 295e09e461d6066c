"""What the meta-update of an earlier run left to the next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipelines.contract.context import NightContext
from pipelines.failures.errors import DataError

if TYPE_CHECKING:
    from mrlm.meta.state.meta_state import MetaState


def state_after(context: NightContext, run_key: str) -> MetaState:
    """The state after a run; its point alone where earlier code kept no state.

    Args:
        context: of tonight.
        run_key: of the run that tonight builds on; empty before the first.

    Raises:
        DataError: the state is of another schema.
    """
    from mrlm.meta.state.meta_state import MetaState

    if not run_key:
        return MetaState()
    run = context.run("tune_weights", run_key)
    if "state" not in run.require().outputs:
        data: dict[str, Any] = json.loads(run.path("weights.json").read_text())
        return MetaState(columns=tuple(data["columns"]), point=tuple(data["point"]))
    try:
        return MetaState.from_json(json.loads(run.path("state.json").read_text()))
    except ValueError as error:
        raise DataError(f"run {run_key}: {error}") from error
