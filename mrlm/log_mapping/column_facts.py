"""What the values of a column are: numbers, probabilities, times, lists, how many differ."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from mrlm.log_mapping.sampled_files import Row

# A column is what nearly all of its values are: logs have broken rows.
_NEARLY = 0.95
_DEPTH = 4
_DATED = re.compile(r"^\d{4}-\d{2}-\d{2}([T ]\d{1,2}:\d{2}.*)?$")
_OFFSET = re.compile(r"(Z|[+-]\d{2}:?\d{2}| ?UTC)$")
# Seconds of 2000 and 2100, as spark_jobs/contract/clock.py reads numbers.
_OLDEST, _NEWEST = 946_684_800, 4_102_444_800
_UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_PLAIN = re.compile(r"^[^.\[\]`=-][^.\[\]`]*$")


@dataclass(frozen=True)
class ColumnFacts:
    """The values of one column of a sample.

    Attributes:
        source: how settings name it, see spark_jobs/reading/sources.py.
        values: those that are there, one a row that has it.
        at: the numbers of their rows.
        rows: how many rows the sample has.
    """

    source: str
    values: tuple[Any, ...]
    at: tuple[int, ...]
    rows: int

    @property
    def share(self) -> float:
        """Share of the rows that have it."""
        return len(self.values) / max(self.rows, 1)

    @cached_property
    def lists(self) -> bool:
        """Whether its values are lists."""
        return _nearly(isinstance(v, list) for v in self.values)

    @cached_property
    def maps(self) -> bool:
        """Whether its values are objects."""
        return _nearly(isinstance(v, dict) for v in self.values)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Its values as ids are compared."""
        return tuple(as_text(v) for v in self.values if not isinstance(v, list | dict))

    @cached_property
    def distinct(self) -> int:
        """How many different values it has."""
        return len(set(self.texts))

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """Its values where they are numbers or Booleans, else nothing."""
        found = [as_number(v) for v in self.values]
        return (
            tuple(f for f in found if f is not None)
            if _nearly(f is not None for f in found)
            else ()
        )

    @cached_property
    def probabilities(self) -> bool:
        """Whether its values are above 0 and up to 1, and more than yes and no."""
        inside = _nearly(0 < n <= 1 for n in self.numbers)
        return inside and any(0 < n < 1 for n in self.numbers)

    @cached_property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return _nearly(n == math.floor(n) for n in self.numbers)

    @cached_property
    def time_form(self) -> str:
        """``offset``, ``naive``, ``date``, or the unit of numbers; empty where it is no time."""
        if _nearly(isinstance(v, datetime | date) for v in self.values):
            zoned = any(isinstance(v, datetime) and v.tzinfo for v in self.values)
            return "offset" if zoned else "naive"
        if _nearly(isinstance(v, str) and bool(_DATED.match(v)) for v in self.values):
            texts = [v for v in self.values if isinstance(v, str)]
            if all(len(v) == len("2000-01-01") for v in texts):
                return "date"
            return "offset" if _nearly(bool(_OFFSET.search(v[10:])) for v in texts) else "naive"
        for unit, factor in _UNITS.items():
            if _nearly(_OLDEST * factor <= n < _NEWEST * factor for n in self.numbers):
                return unit
        return ""

    @cached_property
    def seconds(self) -> tuple[float | None, ...]:
        """Seconds since 1970 of each value of a time, naive ones as UTC."""
        return tuple(_seconds(v, self.time_form) for v in self.values)

    @cached_property
    def wordy(self) -> bool:
        """Whether its values are texts of words, such as titles."""
        words = [v for v in self.values if isinstance(v, str) and re.search(r"[^\W\d_]{2,}", v)]
        spaced = sum(" " in v.strip() or any(ord(c) > 0x2E80 for c in v) for v in words)
        return bool(words) and spaced >= 0.3 * len(self.values)


def as_text(value: Any) -> str:
    """A scalar as ingestion's text of it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value == math.floor(value) and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def as_number(value: Any) -> float | None:
    """A number, Boolean or text of one; None where it is none, or not finite."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return float(value.strip().lower() == "true")
    if isinstance(value, str | int | float | Decimal):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            return None
        return found if math.isfinite(found) else None
    return None


def as_list(value: Any) -> list[Any] | None:
    """A list, or a text ``a|b`` or ``["a", "b"]`` of one; None where it is none."""
    if isinstance(value, list):
        return value
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        return [part.strip().strip("'\"") for part in value[1:-1].split(",") if part.strip()]
    if isinstance(value, str) and "|" in value:
        return [part.strip() for part in value.split("|") if part.strip()]
    return None


def quoted(name: str) -> str:
    """A column's name as a path's first step."""
    return name if _PLAIN.match(name) else f"`{name}`"


def columns_of(rows: Iterable[Row]) -> dict[str, ColumnFacts]:
    """The columns of rows, those inside objects by their paths."""
    found: dict[str, tuple[list[Any], list[int]]] = {}
    number = 0
    for number, row in enumerate(rows, 1):
        for source, value in _flat(row, "", _DEPTH):
            values, at = found.setdefault(source, ([], []))
            values.append(value)
            at.append(number - 1)
    return {s: ColumnFacts(s, tuple(v), tuple(at), number) for s, (v, at) in found.items()}


def listed_columns(column: ColumnFacts) -> dict[str, ColumnFacts]:
    """Of a column of lists: each list as a value, by what is taken of its elements."""
    found: dict[str, dict[int, list[Any]]] = {}
    for at, value in zip(column.at, column.values, strict=True):
        elements = as_list(value)
        if elements is None:
            continue
        for element in elements:
            for rest, inner in _inside(element):
                found.setdefault(rest, {}).setdefault(at, []).append(inner)
    made = {}
    for rest, lists in found.items():
        source = f"{column.source}[*]{rest}" if rest else column.source
        made[source] = ColumnFacts(source, tuple(lists.values()), tuple(lists), column.rows)
    return made


def _inside(element: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(element, dict):
        for path, value in _flat(element, "", _DEPTH):
            if not isinstance(value, list | dict):
                yield f".{path}", value
    elif isinstance(element, list):
        for i, value in enumerate(element[:2]):
            if not isinstance(value, list | dict):
                yield f"[{i}]", value
    elif element is not None:
        yield "", element


def _flat(row: Row, above: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        source = f"{above}{quoted(name) if above or not _PLAIN.match(name) else name}"
        if value is None or value == "":
            continue
        yield source, value
        if isinstance(value, dict) and depth:
            yield from _flat(value, f"{source}.", depth - 1)


def _nearly(held: Iterable[bool]) -> bool:
    number = yes = 0
    for is_so in held:
        number += 1
        yes += is_so
    return number > 0 and yes >= _NEARLY * number


def _seconds(value: Any, form: str) -> float | None:
    if form in _UNITS:
        number = as_number(value)
        return None if number is None else number / _UNITS[form]
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(_iso(value))
    except (TypeError, ValueError):
        return None
    return (read if read.tzinfo else read.replace(tzinfo=_utc())).timestamp()


def _iso(value: Any) -> str:
    text = value.isoformat() if isinstance(value, date) else str(value).replace(" UTC", "+00:00")
    # Python reads fractions of up to six digits.
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


def _utc() -> Any:
    from datetime import UTC

    return UTC
