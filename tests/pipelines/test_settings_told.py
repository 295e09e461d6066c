"""Every setting has a description, which the reference page of the docs prints."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from mrlm.bandit_log import Objective
from pipelines.settings.ingestion import Ingestion
from pipelines.settings.input_tables import Inputs, InputTable
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings
from pipelines.settings.users_past import State


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and the models of its fields, of theirs, and so on."""
    yield model
    for field in model.model_fields.values():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield from models(field.annotation)


FIELDS = sorted(
    {(m.__name__, name): (m, name) for m in models(Settings) for name in m.model_fields}.values(),
    key=lambda f: (f[0].__name__, f[1]),
)


def test_all_sections_are_looked_at() -> None:
    assert {m.__name__ for m, _ in FIELDS} >= {"Settings", "GateSettings", "InputTable", "Spark"}
    assert len(FIELDS) > 90


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda x: getattr(x, "__name__", x))
def test_every_setting_is_described(model: type[BaseModel], name: str) -> None:
    told = model.model_fields[name].description or ""
    assert re.fullmatch(r".{10,}[.]", told), f"{model.__name__}.{name}: {told!r} is no sentence"


def test_every_field_of_an_objective_is_described() -> None:
    told = re.findall(
        r"^    (\w+): ", (inspect.getdoc(Objective) or "").partition("Raises:")[0], re.M
    )
    assert told == [f.name for f in fields(Objective)]


def test_a_setting_that_came_later_leaves_the_fingerprint_while_it_has_its_default() -> None:
    inputs = {t: InputTable(path=t) for t in ("impressions", "feedback", "items")}
    usual = Settings(
        inputs=Inputs(**inputs),
        state=State(history_objective="click"),
        objectives=[Objective("click", "feedback", "north_star", event="click")],
    )
    zone = Ingestion(time_zone="Asia/Shanghai")
    other = usual.model_copy(update={"ingestion": zone})
    stated = usual.model_copy(update={"ingestion": Ingestion(time_zone="UTC", late_nights=2)})
    assert stated.fingerprint("ingestion") == usual.fingerprint("ingestion")
    assert other.fingerprint("ingestion") != usual.fingerprint("ingestion")
    assert other.fingerprint() != usual.fingerprint()
    assert other.fingerprint("validation") == usual.fingerprint("validation")


def test_a_discount_is_in_the_fingerprint_where_there_is_one() -> None:
    click = Objective("click", "feedback", "north_star", event="click", missing=0.0)
    usual = Settings(
        inputs=Inputs(**{t: InputTable(path=t) for t in ("impressions", "feedback", "items")}),
        state=State(history_objective="click"),
        objectives=[click],
    )
    follows = usual.model_copy(update={"objectives": [replace(click, discount=0.9)]})
    assert follows.fingerprint("objectives") != usual.fingerprint("objectives")
    # As settings without the field were hashed.
    plain = usual.model_dump(mode="json")["objectives"]
    plain[0].pop("discount")
    as_before = hashlib.sha256(json.dumps({"objectives": plain}, sort_keys=True).encode())
    assert usual.fingerprint("objectives") == as_before.hexdigest()


PATHS = """
truth_path = "raw/truth/dt={night}.parquet"
inputs.candidate_set_path = "raw/sets/dt={night}"
inputs.sent_path = "raw/sent/{night}.json"
inputs.impressions.path = "raw/impressions/dt={night}"
inputs.feedback.path = "raw/feedback/dt={night}"
inputs.items.path = "raw/items/dt={night}"
inputs.history.path = "raw/history/dt={night}"
serving.log_path = "served"
state.history_objective = "click"
objectives = [{name = "click", source = "feedback", role = "north_star", event = "click"}]
"""


def test_every_path_is_meant_from_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "mrlm.toml").write_text(PATHS)
    settings = load_settings(tmp_path / "mrlm.toml")

    def paths(model: BaseModel) -> Iterator[tuple[str, str]]:
        for name in type(model).model_fields:
            value = getattr(model, name)
            if isinstance(value, BaseModel):
                yield from paths(value)
            elif name == "path" or name.endswith("_path"):
                yield name, value

    found = list(paths(settings))
    named = {f[1] for f in FIELDS if f[1] == "path" or f[1].endswith("_path")}
    assert {name for name, _ in found} == named
    assert all(path.startswith(f"{tmp_path}/") for _, path in found)
