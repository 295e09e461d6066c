"""What is wrong with settings, one sentence an error: where, which field, what is valid."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from mrlm.report.visible import visible
from spark_jobs.contract.nearest import meant

_LONGEST = 200
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_ABSENT = ("missing", "missing_argument", "missing_keyword_only_argument")

Place = tuple[str | int, ...]


def sentences(error: ValidationError, model: type[Any], sources: Mapping[Place, str]) -> list[str]:
    """One sentence for each error.

    Args:
        error: of the validation.
        model: that was validated.
        sources: place of a value to where it was written; of the longest place that an error's
            place begins with, () for all others.
    """
    return [_sentence(e, model, sources) for e in error.errors(include_url=False)]


def unknown_field(place: Place, name: str, valid: Iterable[str]) -> str:
    """That there is no such field, with those like it and all that there are."""
    where = _path(place) if place else "the top level"
    return _unknown(_path((*place, name)), name, "setting", where, valid)


def unknown_column(place: Place, name: str, table: str, valid: Iterable[str]) -> str:
    """That a raw table has no such column, with those like it and all that there are."""
    return _unknown(_path((*place, name)), name, "column", f"the table {table}", valid)


def unknown_variable(name: str, valid: Iterable[str]) -> str:
    """That a variable of the environment names no setting, with those like it."""
    return (
        f"there is no such setting{meant(name.upper(), valid)} Unset it: names that begin with "
        "MRLM_ are the program's own"
    )


def _unknown(shown: str, name: str, what: str, where: str, valid: Iterable[str]) -> str:
    names = sorted(valid)
    return (
        f"{visible(shown, _LONGEST)}: there is no such {what}{meant(name, names)} "
        f"{where} has {', '.join(names)}"
    )


def _sentence(error: Any, model: type[Any], sources: Mapping[Place, str]) -> str:
    place: Place = tuple(error["loc"])
    source = max((p for p in sources if place[: len(p)] == p), key=len)
    told = _told(error, place, model)
    return f"{sources[source]}: {told}"


def _told(error: Any, place: Place, model: type[Any]) -> str:
    kind = error["type"]
    if kind in _UNKNOWN:
        return unknown_field(place[:-1], str(place[-1]), fields_at(model, place[:-1]))
    if kind in _ABSENT:
        valid = ", ".join(sorted(fields_at(model, place[:-1])))
        return f"{_path(place)}: is missing; the fields there are {valid}"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if not place:
        return message
    if kind == "value_error":
        return f"{_path(place)}: {message}"
    return f"{_path(place)}: {message}, and is {visible(repr(error['input']), _LONGEST)}"


def fields_at(model: type[Any], place: Place) -> list[str]:
    """Names of the fields of the section at a place; none where it is no section."""
    found: Any = model
    for step in place:
        found = _inner(_hints(found).get(step)) if isinstance(step, str) else found
    return list(_hints(found))


def _hints(model: Any) -> dict[str, Any]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    if isinstance(model, type) and dataclasses.is_dataclass(model):
        hints = get_type_hints(model)
        return {field.name: hints[field.name] for field in dataclasses.fields(model)}
    return {}


def _inner(hint: Any) -> Any:
    """The section that a field holds: itself, a list's element, or the part that is not None."""
    if get_origin(hint) in {list, tuple, Annotated, Union, types.UnionType}:
        return next((i for i in map(_inner, get_args(hint)) if _hints(i)), None)
    return hint


def _path(place: Place) -> str:
    """``objectives entry 2.event``: entries of a list are counted from 1."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f" entry {step + 1}"
        else:
            text += f".{step}" if text else step
    return text
