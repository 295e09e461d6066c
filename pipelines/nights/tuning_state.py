"""What the meta-update of an earlier run left to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.contract.context import NightContext
from pipelines.failures.errors import DataError

if TYPE_CHECKING:
    from mrlm.meta.alternatives.alternatives_record import AlternativesRecord
    from mrlm.meta.hyperparameters.hyperparameter_record import HyperparameterRecord
    from mrlm.meta.state.meta_state import MetaState

# Outputs of stages, and their files: searches of hyper-parameters, and trials of alternatives.
_RECORD = "hyperparameters"
ALTERNATIVES = "alternatives"


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


def record_after(context: NightContext, run_key: str) -> HyperparameterRecord:
    """The searches of hyper-parameters up to a run; none where it had none that may move.

    Args:
        context: of tonight.
        run_key: of the run that tonight builds on; empty before the first.

    Raises:
        DataError: the record is of another schema.
    """
    from mrlm.meta.hyperparameters.hyperparameter_record import NO_RECORD

    path = _left(context, "tune_weights", run_key, _RECORD)
    return NO_RECORD if path is None else _record_of(path, f"run {run_key}")


def alternatives_after(context: NightContext, run_key: str) -> AlternativesRecord:
    """The trials of the behaviour model's alternatives up to a run; none where it tried none.

    Args:
        context: of tonight.
        run_key: of the run that tonight builds on; empty before the first.

    Raises:
        DataError: the record is of another schema.
    """
    from mrlm.meta.alternatives.alternatives_record import NOTHING_TRIED, AlternativesRecord

    path = _left(context, "learn_behaviour", run_key, ALTERNATIVES)
    if path is None:
        return NOTHING_TRIED
    try:
        return AlternativesRecord.from_json(json.loads(path.read_text()))
    except ValueError as error:
        raise DataError(f"run {run_key}: {error}") from error


def _left(context: NightContext, stage: str, run_key: str, output: str) -> Path | None:
    """The file of a run's output; None before the first run, and where it has none."""
    if not run_key:
        return None
    run = context.run(stage, run_key)
    return run.path(f"{output}.json") if output in run.require().outputs else None


def record_elsewhere(context: NightContext) -> HyperparameterRecord:
    """The record of another deployment that ``tuning.hyperparameter_record`` names, or none.

    Raises:
        DataError: it is not there, or no such record.
    """
    from mrlm.meta.hyperparameters.hyperparameter_record import NO_RECORD

    path = context.settings.tuning.hyperparameter_record
    return _record_of(Path(path), "tuning.hyperparameter_record") if path else NO_RECORD


def _record_of(path: Path, where: str) -> HyperparameterRecord:
    from mrlm.meta.hyperparameters.hyperparameter_record import HyperparameterRecord

    try:
        return HyperparameterRecord.from_json(json.loads(path.read_text()))
    except OSError as error:
        raise DataError(f"{where}: {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{where}: {path} is no record of hyper-parameters: {error}") from error
