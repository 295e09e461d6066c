"""Settings that are tried beside typed ones: the same but for what is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

_Settings = TypeVar("_Settings", bound=BaseModel)


def with_changes(
    settings: _Settings, changes: Mapping[str, Any], trials: frozenset[str]
) -> _Settings:
    """Settings with others in their place, and without those of trials.

    Args:
        settings: as they are typed.
        changes: by name; of a table those that are named, the others stay.
        trials: names of the settings that say what is tried.

    Raises:
        ValidationError: they are no settings.
    """
    plain = settings.model_dump(exclude=set(trials))
    for name, value in changes.items():
        nested = isinstance(plain.get(name), dict) and isinstance(value, Mapping)
        plain[name] = {**plain[name], **value} if nested else value
    return type(settings).model_validate(plain)


def check_changes(
    settings: BaseModel,
    tried: Sequence[tuple[str, Mapping[str, Any]]],
    fixed: frozenset[str],
    trials: frozenset[str],
) -> None:
    """Refuse what is tried where it is no settings, or nothing else than is typed.

    Args:
        settings: as they are typed.
        tried: for each its place in the settings, and its changes.
        fixed: names that no trial may change.
        trials: see ``with_changes``.

    Raises:
        ValueError: says where and why.
    """
    # Settings without trials end here, as those that are compared below.
    known = [with_changes(settings, {}, trials)] if tried else []
    for where, changes in tried:
        if not changes or fixed & changes.keys():
            raise ValueError(
                f"{where}: what is tried changes one setting at least, and none of "
                f"{', '.join(sorted(fixed))}"
            )
        try:
            found = with_changes(settings, changes, trials)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "its settings"
            raise ValueError(f"{where}: {name}: {first['msg']}") from error
        if found in known:
            raise ValueError(f"{where}: the same settings as they are typed, or as one before")
        known.append(found)
