"""Reading the settings of a deployment: the file, the environment over it, paths made absolute."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mrlm.report.visible import visible
from pipelines.failures.errors import SettingsError
from pipelines.settings.errors import (
    Place,
    fields_at,
    sentences,
    unknown_field,
    unknown_variable,
)
from pipelines.settings.ingestion import Ingestion
from pipelines.settings.model import Settings
from pipelines.settings.serving import Serving
from spark_jobs.contract.log_contract import HISTORY, TABLES

SETTINGS_VARIABLE = "MRLM_SETTINGS"
_PREFIX, _DELIMITER = "MRLM_", "__"
# What else of this prefix the program reads: where its settings lie, the secrets, the timetable of
# dags/, the warm parent of pipelines/local, and where two benchmarks keep their lines.
OWN_VARIABLES = frozenset(
    {
        SETTINGS_VARIABLE,
        Ingestion().user_key_variable,
        Serving().key_variable,
        "MRLM_SCHEDULE",
        "MRLM_WARM_SOCKET",
        "MRLM_GRID",
        "MRLM_UCI",
    }
)


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings file; relative paths in it count from its folder.

    Raises:
        FileNotFoundError: there is no such file.
        SettingsError: it is no TOML, or a field is unknown, missing or out of range.
    """
    path = path or Path(os.environ.get(SETTINGS_VARIABLE, "mrlm.toml"))
    if not path.is_file():
        raise FileNotFoundError(
            f"no settings at {path}: write one (README, 'Bring your own logs'), name it with "
            f"--settings or {SETTINGS_VARIABLE}, or run the demonstration with 'make run'"
        )
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: this is no TOML file: {error}") from error
    _require_known(path, data)
    _place(data, path.resolve().parent)
    loaded = checked(lambda: Settings(**data), {(): str(path), **_from_environment()})
    _loaded[:] = [loaded]
    return loaded


# What a command that failed has to know of where it worked.
_loaded: list[Settings] = []


def last_loaded() -> Settings | None:
    """The settings that this process has read last; None before it read any."""
    return _loaded[-1] if _loaded else None


def checked(make: Callable[[], Settings], sources: Mapping[Place, str]) -> Settings:
    """The settings that ``make`` makes.

    Args:
        make: validates them.
        sources: where values were written, see ``settings_errors.sentences``.

    Raises:
        SettingsError: a field is unknown, missing or out of range; a sentence for each.
    """
    try:
        return make()
    except ValidationError as error:
        raise SettingsError("\n".join(sentences(error, Settings, sources))) from error


def _require_known(path: Path, data: Mapping[str, Any]) -> None:
    """Refuse names at the top level that are no settings, of the file and of the environment."""
    known = Settings.model_fields
    wrong = [f"{path}: {unknown_field((), n, known)}" for n in data if n not in known]
    own = {*OWN_VARIABLES, *_key_variables(data)}
    for name, steps in _variables().items():
        if steps[0] in known or name in own:
            continue
        told = (
            unknown_field((), steps[0], known)
            if len(steps) > 1
            else unknown_variable(name, {*own, *_setting_variables()})
        )
        wrong.append(f"the environment variable {visible(name, 200)}: {told}")
    if wrong:
        raise SettingsError("\n".join(wrong))


def _from_environment() -> dict[Place, str]:
    return {
        steps: f"the environment variable {name}"
        for name, steps in _variables().items()
        if steps[0] in Settings.model_fields
    }


def _variables() -> dict[str, tuple[str, ...]]:
    """Variables that name settings to the steps of the setting's path."""
    return {
        name: tuple(name[len(_PREFIX) :].lower().split(_DELIMITER))
        for name in os.environ
        if name.upper().startswith(_PREFIX)
    }


def _setting_variables() -> set[str]:
    """Names of the variables of all settings and of their sections' fields."""
    paths = [(name,) for name in Settings.model_fields]
    inner = [(name, field) for (name,) in paths for field in fields_at(Settings, (name,))]
    return {_PREFIX + _DELIMITER.join(path).upper() for path in [*paths, *inner]}


def _key_variables(data: Mapping[str, Any]) -> set[str]:
    """Where the settings say that keys lie; what is no text is refused."""
    found = set()
    for section, name in (("ingestion", "user_key_variable"), ("serving", "key_variable")):
        own = data.get(section)
        named = own.get(name) if isinstance(own, dict) else None
        over = os.environ.get(f"{_PREFIX}{section}{_DELIMITER}{name}".upper())
        found |= {text for text in (named, over) if isinstance(text, str)}
    return found


def _place(data: dict[str, Any], folder: Path) -> None:
    """Make paths absolute; what is no text is left to be refused."""
    inputs = data.get("inputs")
    owners: list[tuple[Any, str]] = [(data, "truth_path"), (data.get("serving"), "log_path")]
    owners += [(inputs, "candidate_set_path"), (inputs, "sent_path")]
    if isinstance(inputs, dict):
        owners += [(inputs.get(table), "path") for table in (*TABLES, HISTORY)]
    data.setdefault("workspace", "workspace")
    for owner, key in owners:
        if isinstance(owner, dict) and isinstance(owner.get(key), str) and owner[key]:
            owner[key] = _absolute(folder, owner[key])
    if isinstance(data["workspace"], str):
        data["workspace"] = str(folder / data["workspace"])


def _absolute(folder: Path, path: str) -> str:
    return path if "://" in path else str(folder / path)
