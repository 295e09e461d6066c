"""How the lines of a raw table become its rows, where a row is not simply a line.

A line is read as one variant, whatever its format, and each field of a row is what its sources
(``sources``) find there. A line may hold several rows: the elements of a list, or columns that tell
of events. Everything is a column expression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_jobs.contract.clock import NightClock
from spark_jobs.contract.log_contract import RawField
from spark_jobs.reading import fields
from spark_jobs.reading.sources import Source, Step, parse_path, parse_source

# A line holds fewer rows: so many numbers are left between the numbers of lines.
ROWS_A_LINE = 4096
_ANY, _NONE = "*", ""
_LIST, _RECORD, _ELEMENT, _EVENT = "array<variant>", "_record", "_element", "_event"
_JOINT = "|"


@dataclass(frozen=True)
class RowShape:
    """What makes the rows of a table out of its lines.

    Attributes:
        rows: path of the list whose elements are the rows; None: a line is one.
        where: path to the texts that a line of this table has there; ``*`` any, ``""`` none.
        events: event to the source of its value; each is a row where that is neither empty, 0 nor
            false.
        clock: files hold all nights, and a night's rows are those whose ``ts`` lies in it by this
            clock; None: they hold one night.
    """

    rows: str | None = None
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    clock: NightClock | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RowShape:
        """The inverse of ``dataclasses.asdict``, of JSON too."""
        clock = NightClock(**data["clock"]) if data["clock"] else None
        where = {path: tuple(texts) for path, texts in data["where"].items()}
        return cls(data["rows"], where, dict(data["events"]), clock)

    def taken(self) -> Column:
        """Whether a line is one of this table; true where it could not be read at all."""
        holds = [_held(Source(parse_path(p)), texts) for p, texts in self.where.items()]
        all_hold = reduce(Column.__and__, holds, F.lit(True))
        return F.col(_RECORD).isNull() | all_hold

    def elements(self) -> Column | None:
        """The rows of a line as an array of structs ``_element``, ``_event``; None: a line is one.

        An empty array is a line without rows. A line that could not be read is one row, as is one
        whose list is missing or longer than ``ROWS_A_LINE``; its fields are null.
        """
        if self.rows is None and not self.events:
            return None
        # No element has this number: what is taken of it is null.
        one = F.array(F.struct(F.lit(-1).alias(_ELEMENT), F.lit(None).cast("string").alias(_EVENT)))
        if self.rows is None:
            numbers = F.array(F.lit(0))
        else:
            found = _as_list(_navigate(F.col(_RECORD), parse_path(self.rows), F.lit(0)))
            numbers = F.transform(found, lambda _, i: i)
        if not self.events:
            made = F.transform(
                numbers,
                lambda i: F.struct(
                    i.cast("int").alias(_ELEMENT), F.lit(None).cast("string").alias(_EVENT)
                ),
            )
        else:
            made = F.flatten(F.transform(numbers, self._events_of))
        made = F.when(F.size(made) <= ROWS_A_LINE, made)
        return F.when(F.col(_RECORD).isNull(), one).otherwise(F.coalesce(made, one))

    def _events_of(self, element: Column) -> Column:
        told = [
            F.when(
                _happened(_text(Source(parse_source(source).path), element)),
                F.struct(element.cast("int").alias(_ELEMENT), F.lit(event).alias(_EVENT)),
            )
            for event, source in self.events.items()
        ]
        return F.filter(F.array(*told), lambda row: row.isNotNull())


def row_fields(
    wanted: Sequence[RawField], columns: Mapping[str, str | tuple[str, ...]], shape: RowShape
) -> tuple[dict[str, Column], Column]:
    """The fields of a row out of ``_record``, ``_element`` and ``_event``; and whether one is bad.

    Args:
        wanted: the fields.
        columns: contract name to its source, or to sources that are joined by ``|``.
        shape: of the rows.

    Returns:
        Name to a column of ``RAW_TYPES`` (text, where the value is a number or a time), and true
        where a list or map is something else.
    """
    values: dict[str, Column] = {}
    malformed = F.lit(False)
    element = F.col(_ELEMENT)
    for f in wanted:
        named = columns.get(f.name, f"`{f.name}`")
        if shape.events and f.name in ("event", "value", "event_id") and f.name not in columns:
            values[f.name] = _of_event(f.name, columns, shape, element)
            continue
        sources = (
            [parse_source(named)] if isinstance(named, str) else list(map(parse_source, named))
        )
        if len(sources) > 1:
            values[f.name] = _joined([_text(s, element) for s in sources])
            continue
        value, text = _value(sources[0], f.kind, element)
        values[f.name] = value
        if text is not None:
            malformed = malformed | fields.bad(text, value)
    return values, malformed


def _of_event(
    name: str,
    columns: Mapping[str, str | tuple[str, ...]],
    shape: RowShape,
    element: Column,
) -> Column:
    event = F.col(_EVENT)
    if name == "event":
        return event
    if name == "value":
        found = F.lit(None).cast("string")
        for known, source in shape.events.items():
            value = _as_number(_text(parse_source(source), element))
            found = F.when(event == known, value).otherwise(found)
        return found
    parts: list[Column] = []
    for key in ("request_id", "item_id"):
        named = columns.get(key, f"`{key}`")
        sources = [named] if isinstance(named, str) else named
        parts += [_text(parse_source(s), element) for s in sources]
    return F.when(event.isNotNull(), _joined([*parts, event]))


def _joined(parts: Sequence[Column]) -> Column:
    """Texts joined; null where all of them are."""
    some = reduce(Column.__or__, [p.isNotNull() for p in parts])
    return F.when(some, F.concat_ws(_JOINT, *[F.coalesce(p, F.lit("")) for p in parts]))


def _held(source: Source, texts: Sequence[str]) -> Column:
    found = _text(source, F.lit(0))
    held = F.lit(False)
    for text in texts:
        if text == _ANY:
            held = held | found.isNotNull()
        elif text == _NONE:
            held = held | found.isNull()
        else:
            held = held | F.coalesce(found == text, F.lit(False))
    return held


def _happened(text: Column) -> Column:
    """Whether a value tells of an event: neither empty, nor 0, nor false."""
    number = fields.number(text)
    nothing = (F.lower(text) == "false") | F.coalesce(number == 0, F.lit(False))
    return text.isNotNull() & ~nothing


def _as_number(text: Column) -> Column:
    """The text of a number; of true 1."""
    return F.when(F.lower(text) == "true", "1").otherwise(text)


def _text(source: Source, element: Column) -> Column:
    if source.constant is not None:
        return F.lit(source.constant)
    return _changed(_scalar(_found(source.path, element)), source)


def _changed(text: Column, source: Source) -> Column:
    """The text of the number with the source's sign and summand; other text stays as it is."""
    if not source.negated and not source.plus:
        return text
    value = fields.number(text)
    signed = (-value if source.negated else value) + F.lit(float(source.plus))
    return F.when(value.isNull(), text).otherwise(signed.cast("string"))


@dataclass(frozen=True)
class _Found:
    """What a path leads to: a variant, an array of variants, or the number of an element."""

    value: Column
    many: bool = False
    number: bool = False


def _found(path: Sequence[Step], element: Column) -> _Found:
    """What a path leads to; a name with dots in it goes before a path that is written like it."""
    found = _navigate(F.col(_RECORD), path, element)
    if len(path) < 2 or any(step.kind != "name" for step in path):
        return found
    whole = Step("name", ".".join(step.name for step in path))
    named = _navigate(F.col(_RECORD), [whole], element)
    return _Found(F.coalesce(named.value, found.value))


def _navigate(record: Column, path: Sequence[Step], element: Column) -> _Found:
    found = _Found(record)
    for step in path:
        found = _step(found, step, record, element)
    return found


def _step(found: _Found, step: Step, record: Column, element: Column) -> _Found:
    if found.many:
        inner = F.transform(found.value, lambda v: _one(_Found(v), step, record, element).value)
        return _Found(inner, True)
    return _one(found, step, record, element)


def _one(found: _Found, step: Step, record: Column, element: Column) -> _Found:
    value = found.value
    if step.kind == "name":
        return _Found(F.try_variant_get(value, _json_path(step.name), "variant"))
    if step.kind == "at":
        return _Found(F.get(_as_list(found), F.lit(step.index)))
    if step.kind == "all":
        return _Found(_as_list(found), True)
    if step.kind == "this":
        return _Found(F.get(_as_list(found), F.when(element >= 0, element)))
    if step.kind == "number":
        return _Found(F.when(element >= 0, element + 1), number=True)
    if step.kind == "where":
        listed = _as_list(_navigate(record, step.by, element))
        texts = F.transform(listed, lambda v: F.try_variant_get(v, "$", "string"))
        position = F.array_position(texts, _scalar(_navigate(record, step.value, element)))
        place = _once(position, lambda at: F.when(at > 0, at - 1).cast("int"))
        return _Found(F.get(_as_list(found), place))
    by = _navigate(record, step.by, element)
    elements = _as_list(found)
    if by.many:
        gathered = F.transform(by.value, lambda v: F.get(elements, _place(v, step.index)))
        return _Found(gathered, True)
    return _Found(F.get(elements, _place(by.value, step.index)))


def _place(number: Column, plus: int) -> Column:
    """The place of an element, which no negative number is: arrays would count from their end."""
    return _once(
        F.try_variant_get(number, "$", "int") + F.lit(plus), lambda at: F.when(at >= 0, at)
    )


def _once(value: Column, made: Callable[[Column], Column]) -> Column:
    """``made(value)``, with ``value`` written once however often it is used there.

    Each step of a path uses the one before several times: written out, a path of three lists has
    as many thousand parts, and Spark goes over all of them at each step.
    """
    return F.get(F.transform(F.array(value), lambda v: made(v)), F.lit(0))


def _json_path(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"$['{escaped}']"


def _as_list(found: _Found) -> Column:
    """An array of variants: of a list, or of a text such as ``a|b``."""
    if found.many:
        return found.value
    return _once(found.value, _elements_of)


def _elements_of(value: Column) -> Column:
    listed = F.try_variant_get(value, "$", _LIST)
    text = fields.text(F.try_variant_get(value, "$", "string"))
    cut = F.transform(fields.strings(text), lambda part: part.cast("variant"))
    # One word is a text, and no list of one element.
    return F.coalesce(listed, F.when(text.rlike(r"^\[|\|"), cut))


def _scalar(found: _Found) -> Column:
    """The text of a value; of several a JSON array."""
    if found.number:
        return found.value.cast("string")
    if found.many:
        return F.to_json(F.transform(found.value, lambda v: F.try_variant_get(v, "$", "string")))
    return fields.text(F.try_variant_get(found.value, "$", "string"))


def _value(source: Source, kind: str, element: Column) -> tuple[Column, Column | None]:
    """A field of a kind, and the text that it was read from where it is a list or a map."""
    if kind in ("text", "number", "time"):
        return _text(source, element), None
    if source.constant is not None:
        text = F.lit(source.constant)
        return fields.from_text(text, kind), text
    found = _found(source.path, element)
    value = _once(found.value, lambda v: _of_kind(_Found(v, found.many, found.number), kind))
    return value, _scalar(found)


def _of_kind(found: _Found, kind: str) -> Column:
    """A list or map of what was found, or of its text."""
    text = _scalar(found)
    if kind in ("strings", "numbers"):
        typed = "string" if kind == "strings" else "double"
        if found.many:
            listed = F.transform(found.value, lambda v: F.try_variant_get(v, "$", typed))
        else:
            listed = F.try_variant_get(found.value, "$", f"array<{typed}>")
        # What begins like a list and is none stays null: it is malformed.
        return F.coalesce(listed, fields.from_text(text, kind))
    typed = "string" if kind == "text_map" else "double"
    mapped = F.try_variant_get(found.value, "$", f"map<string,{typed}>")
    return F.coalesce(mapped, fields.from_text(text, kind))
