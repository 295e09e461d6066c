from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mrlm.meta.hyperparameters.hyperparameter_record import NO_RECORD, SearchedNight
from mrlm.meta.hyperparameters.night_conditions import Conditions
from mrlm.meta.state.meta_state import MetaState
from pipelines.failures.errors import DataError
from pipelines.nights.tuning_state import record_after, record_elsewhere, state_after
from tests.pipelines.nights.workspaces import Made

NIGHT, KEY = "2026-11-20", "2026-11-19-abc"


def run_with(made: Made, **files: object) -> None:
    folder = made.workspace.run_stage(KEY, "tune_weights")
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / f"{name}.json").write_text(json.dumps(data))
    outputs = {name: f"{name}.json" for name in files}
    made.complete(folder, "tune_weights", "2026-11-19", outputs, run_key=KEY)


def test_the_first_night_has_none(made: Made) -> None:
    assert state_after(made.context(NIGHT), "") == MetaState()


def test_the_state_of_the_run_before(made: Made) -> None:
    state = MetaState(columns=("a",), point=(1.0, 0.5), since="2026-11-12")
    run_with(made, state=state.to_json(), weights={})
    assert state_after(made.context(NIGHT), KEY) == state


def test_a_run_of_earlier_code_left_its_point(made: Made) -> None:
    run_with(made, weights={"columns": ["a"], "point": [1.0, 0.5], "objectives": {}})
    assert state_after(made.context(NIGHT), KEY) == MetaState(columns=("a",), point=(1.0, 0.5))


def test_a_state_of_another_schema_is_refused_with_its_run(made: Made) -> None:
    run_with(made, state={"schema": 7}, weights={})
    with pytest.raises(DataError, match=rf"run {KEY}: .* schema 7"):
        state_after(made.context(NIGHT), KEY)


SEARCHED = SearchedNight("2026-11-18", Conditions(1.0, 0.5, 900), (), {"half_life": 2.0})


def test_the_searches_of_hyperparameters_up_to_the_run_before(made: Made) -> None:
    assert record_after(made.context(NIGHT), "") == NO_RECORD
    record = NO_RECORD.after(SEARCHED)
    run_with(made, hyperparameters=record.to_json(), weights={})
    assert record_after(made.context(NIGHT), KEY) == record


def test_a_run_without_a_search_left_no_record(made: Made) -> None:
    run_with(made, weights={})
    assert record_after(made.context(NIGHT), KEY) == NO_RECORD


def test_another_deployments_record_is_read_by_its_path(made: Made, tmp_path: Path) -> None:
    context = made.context(NIGHT)
    assert record_elsewhere(context) == NO_RECORD
    file = tmp_path / "hyperparameters.json"
    tuning = context.settings.tuning.model_copy(update={"hyperparameter_record": str(file)})
    context = replace(context, settings=context.settings.model_copy(update={"tuning": tuning}))
    with pytest.raises(DataError, match=r"hyperparameter_record: .* cannot be read"):
        record_elsewhere(context)
    file.write_text('{"schema": 7}')
    with pytest.raises(DataError, match="schema 7"):
        record_elsewhere(context)
    file.write_text(json.dumps(NO_RECORD.after(SEARCHED).to_json()))
    assert record_elsewhere(context).nights == (SEARCHED,)
