"""Versions and aliases in the MLflow registry; whoever changes them holds the registry's lock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrlm.promotion.registry.place import RegistryPlace

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous_champion"
RUN_KEY = "mrlm.run_key"
RUN_KEY_FORM = re.compile(r"[A-Za-z0-9._:/-]+")
# Limit of MLflow's tables, which SQLite does not enforce and Postgres does.
_DESCRIPTION_LENGTH = 5000


@dataclass(frozen=True)
class RegisteredVersion:
    """A version as the registry has it.

    Attributes:
        version: number, from 1.
        run_key: the idempotence key; "" for a version that somebody made by hand.
        run_id: of its MLflow run.
        tags: all of them.
        description: Markdown.
        created: whether this very call made it.
    """

    version: int
    run_key: str
    run_id: str
    tags: dict[str, str]
    description: str
    created: bool = False


def find_version(place: RegistryPlace, run_key: str) -> RegisteredVersion | None:
    """The version of a run key, or None.

    Raises:
        ValueError: the run key has characters that a tag filter cannot hold.
    """
    if not RUN_KEY_FORM.fullmatch(run_key):
        raise ValueError(f"run key {run_key!r}: use letters, digits and . _ : / -")
    found = _search(place, f"name = '{place.model}' and tags.`{RUN_KEY}` = '{run_key}'")
    return min(found, key=lambda v: v.version) if found else None


def all_versions(place: RegistryPlace) -> tuple[RegisteredVersion, ...]:
    """Every version of the model, oldest first."""
    return tuple(sorted(_search(place, f"name = '{place.model}'"), key=lambda v: v.version))


def aliases(place: RegistryPlace) -> dict[str, int]:
    """Alias to version; empty where there is no such model yet."""
    # Rows of search_model_versions have empty aliases; the model's own are filled.
    model = place.registered_model()
    return {} if model is None else {str(a): int(v) for a, v in model.aliases.items()}


def set_alias(place: RegistryPlace, alias: str, version: int | None) -> None:
    """Point an alias at a version, or remove it; the caller holds the lock and wrote the ledger."""
    client = place.client()
    if version is not None:
        client.set_registered_model_alias(place.model, alias, str(version))
    elif alias in aliases(place):
        client.delete_registered_model_alias(place.model, alias)


def annotate_version(
    place: RegistryPlace,
    version: int,
    *,
    memo: str | None = None,
    tags: Mapping[str, str] | None = None,
    pages: Path | None = None,
) -> None:
    """Replace the memo, set tags (``mrlm.`` is put before the names), add pages to the run."""
    client = place.client()
    for name, value in (tags or {}).items():
        client.set_model_version_tag(place.model, str(version), f"mrlm.{name}", value)
    if memo is not None:
        client.update_model_version(place.model, str(version), description=description_of(memo))
    if pages is not None:
        run_id = client.get_model_version(place.model, str(version)).run_id
        client.log_artifacts(run_id, str(pages), "report")


def has_version(place: RegistryPlace, version: int) -> bool:
    """Whether the registry still has a version."""
    return any(v.version == version for v in all_versions(place))


def registered_version(place: RegistryPlace, version: int) -> RegisteredVersion:
    """A version by its number.

    Raises:
        ValueError: the registry has no such version.
    """
    found = next((v for v in all_versions(place) if v.version == version), None)
    if found is None:
        raise ValueError(f"version {version} is no longer in the registry")
    return found


def description_of(memo: str) -> str:
    """The memo as a version bears it: no longer than MLflow's tables take."""
    if len(memo) <= _DESCRIPTION_LENGTH:
        return memo
    note = "\n\n(Shortened; the whole memo is memo.md among the report's pages.)"
    return memo[: _DESCRIPTION_LENGTH - len(note)] + note


def _search(place: RegistryPlace, query: str) -> list[RegisteredVersion]:
    if not place.exists:
        return []
    client = place.client()
    found: list[Any] = []
    token = None
    while True:
        page = client.search_model_versions(query, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return [
        RegisteredVersion(
            version=int(v.version),
            run_key=v.tags.get(RUN_KEY, ""),
            run_id=v.run_id or "",
            tags=dict(v.tags),
            description=v.description or "",
        )
        for v in found
    ]
