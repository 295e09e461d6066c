"""Text files and plain data without what names a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mrlm.privacy.person import Person

_TEXTS = {".json", ".jsonl", ".csv", ".yaml", ".yml", ".svg", ""}
_PAGES = {".html", ".md"}
# Each line says one thing.
_LINES = {".log", ".txt"}
_GONE = "(a line that named a person who was forgotten)"


def is_text(path: Path) -> bool:
    """Whether a file is of a kind that is text."""
    return path.suffix in _TEXTS | _LINES | _PAGES


def names(path: Path, person: Person) -> bool:
    """Whether a file, text or not, names the person."""
    data = path.read_bytes()
    if person.pseudonym.encode() in data:
        return True
    if path.suffix in _LINES:
        text = data.decode(errors="replace")
        return person.stands_in_line(text) or person.stands_in_page(text)
    if path.suffix in _PAGES:
        return person.stands_in_page(data.decode(errors="replace"))
    return path.suffix == ".json" and _changed_json(data, person)


def text_without(text: str, suffix: str, person: Person) -> str:
    """A file's text with ``forgotten`` in place of the person, and rows of theirs left out.

    Args:
        text: of the file.
        suffix: of its name.
        person: who is left out.
    """
    if suffix in _LINES:
        lines = [_GONE if person.stands_in_line(x) else x for x in text.split("\n")]
        return person.left_out_of_page("\n".join(lines))
    if suffix in _PAGES:
        return person.left_out_of_page(text)
    if suffix == ".json":
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return person.left_out_of(text)
        return json.dumps(data_without(data, person), indent=1, sort_keys=True)
    return person.left_out_of(text)


def data_without(data: Any, person: Person) -> Any:
    """Plain data without rows, objects in lists, that name the person or a request of theirs."""
    if isinstance(data, str):
        return person.left_out_of(data)
    if isinstance(data, list):
        kept = [x for x in data if not (isinstance(x, dict) and _is_row_of(x, person))]
        return [data_without(x, person) for x in kept]
    if isinstance(data, dict):
        return {person.left_out_of(k): data_without(v, person) for k, v in data.items()}
    return data


def texts_of_rows(data: Any, person: Person) -> set[str]:
    """Texts in rows that name the person, and in nothing else of the data."""
    kept = set(_texts(data_without(data, person)))
    return {t for t in _texts(data) if t not in kept}


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)


def _is_row_of(row: dict[str, Any], person: Person) -> bool:
    request = row.get("request_id")
    if isinstance(request, str) and person.has_request(request):
        return True
    return any(isinstance(v, str) and person.stands_in(v) for v in row.values())


def _changed_json(data: bytes, person: Person) -> bool:
    if b"request_id" not in data:
        return False
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return bool(data_without(found, person) != found)
