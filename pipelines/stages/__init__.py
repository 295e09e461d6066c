"""The stages of a night, in the order of a night; one module each."""

from __future__ import annotations

from importlib import import_module

from pipelines.stage import Stage

# Data stages first: they are all that a night of history needs.
HISTORY = ("ingest", "validate", "build_log")
ORDER = (
    "ingest",
    "validate",
    "embed",
    "build_log",
    "learn_behaviour",
    "learn_policy",
    "tune_weights",
    "evaluate",
    "register",
    "gate",
    "promote",
    "publish",
)


def stage_named(name: str) -> Stage:
    """The stage of that name; its module is imported only now.

    Raises:
        KeyError: there is no such stage.
    """
    if name not in ORDER:
        raise KeyError(f"no stage {name!r}; the stages are {', '.join(ORDER)}")
    stage: Stage = import_module(f"pipelines.stages.{name}").STAGE
    return stage
