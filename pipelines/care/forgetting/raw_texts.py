"""What a raw line has where the settings say that a column lies, whatever row of it is meant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from mrlm.privacy.person_rows import Texts, text_of
from spark_jobs.reading.sources import Source, Step, parse_source

# Steps that lead to one element of a list, which depends on the row: here to all of them.
_ELEMENTS = {"all", "this", "by", "where"}


def texts_at(source: str | Sequence[str]) -> Texts:
    """All texts that a column has in the rows of a raw line.

    A line may hold several rows, and the texts are those of all of them. Numbers are taken as they
    stand there, without a sign or a summand of the source.

    Args:
        source: of the settings (``spark_jobs.reading.sources``), or sources that are joined by |.
    """
    parts = [parse_source(s) for s in ([source] if isinstance(source, str) else source)]

    def texts(row: Mapping[str, Any]) -> frozenset[str]:
        found = [_texts(part, row) for part in parts]
        if len(found) == 1:
            return frozenset(found[0])
        if not any(found):
            return frozenset()
        return frozenset("|".join(one) for one in product(*(f or {""} for f in found)))

    return texts


def _texts(source: Source, row: Mapping[str, Any]) -> set[str]:
    if source.constant is not None:
        return {source.constant}
    values = _values(source.path, row)
    texts = (text_of(v).strip() for v in values if v is not None)
    return {text for text in texts if text}


def _values(path: Sequence[Step], row: Mapping[str, Any]) -> list[Any]:
    """A name with dots in it goes before a path that is written like it, as in the ingestion."""
    if all(step.kind == "name" for step in path):
        whole = row.get(".".join(step.name for step in path))
        if whole is not None:
            return [whole]
    values: list[Any] = [row]
    for step in path:
        values = [inner for value in values for inner in _step(step, value)]
    return values


def _step(step: Step, value: Any) -> Iterable[Any]:
    if step.kind == "name":
        return [value[step.name]] if isinstance(value, dict) and step.name in value else []
    elements = _elements(value)
    if step.kind == "number":
        return range(1, len(elements) + 1)
    return elements if step.kind in _ELEMENTS else elements[step.index : step.index + 1]


def _elements(value: Any) -> list[Any]:
    """Of a list, or of a text such as ``a|b`` or ``["a", "b"]``."""
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        return []
    try:
        listed = json.loads(value)
    except ValueError:
        return value.split("|") if "|" in value else []
    return listed if isinstance(listed, list) else []
