"""The stages of a night, in the order of a night; one module each."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pipelines.contract.context import NightContext
from pipelines.contract.outputs import StageFolder
from pipelines.contract.stage import Stage

# They depend on the data alone, so that they may run before a night's turn to learn.
DATA = ("ingest", "validate", "embed", "build_log")
# Their output names no run: another run of the night that reads the same may take it.
LEARNED = ("learn_behaviour", "learn_policy")
ORDER = (
    *DATA,
    *LEARNED,
    "tune_weights",
    "evaluate",
    "register",
    "gate",
    "promote",
    "publish",
)


def output_of(name: str, context: NightContext) -> StageFolder:
    """Where the output of the stage of that name lies."""
    return context.lake(name) if name in DATA else context.run(name)


def stage_named(name: str) -> Stage[Any]:
    """The stage of that name; its module is imported only now.

    Raises:
        KeyError: there is no such stage.
    """
    if name not in ORDER:
        raise KeyError(f"no stage {name!r}; the stages are {', '.join(ORDER)}")
    stage: Stage[Any] = import_module(f"pipelines.stages.{name}").STAGE
    return stage
