"""Every setting has a description, which the reference page of the docs prints."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields

import pytest
from pydantic import BaseModel

from mrlm.bandit_log import Objective
from pipelines.settings.model import Ingestion, Inputs, InputTable, Settings, State


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
