"""Typed values out of text: null where the text is no such value, never an error."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as t

from spark_jobs.contract.schemas import RAW_TYPES

# Types of files that a raw field keeps. Not of Boolean: that is no number.
_NATIVE: dict[str, type[t.DataType] | tuple[type[t.DataType], ...]] = {
    "number": (t.IntegralType, t.FractionalType),
    "time": t.TimestampType,
}


def text(column: Column) -> Column:
    """The trimmed text; null when nothing is left."""
    trimmed = F.trim(column)
    return F.when(trimmed != "", trimmed)


def plain(column: Column, kind: t.DataType) -> Column:
    """A value of a typed file as the text that means the same; a list or map as JSON."""
    if isinstance(kind, t.ArrayType | t.MapType | t.StructType):
        return F.to_json(column)
    if isinstance(kind, t.TimestampType):
        # An instant, which its text alone would not tell.
        return F.concat(column.cast("string"), F.lit("Z"))
    return text(column.cast("string"))


def number(column: Column) -> Column:
    """A double, which may be NaN or infinite."""
    return column.try_cast("double")


def whole(column: Column) -> Column:
    """An integer of at least 1; ``3.0`` counts as one."""
    value = number(column)
    fits = (value >= 1) & (value <= 2**31 - 1) & (value == F.floor(value))
    return F.when(fits, value.try_cast("int"))


def strings(column: Column) -> Column:
    """A list of strings from a JSON array or from ``A|B``."""
    # Not F.trim by itself: of a function of two arguments Spark makes one of element and index.
    trimmed = F.transform(F.split(column, r"\|"), lambda part: F.trim(part))
    parts = F.filter(trimmed, lambda part: part != "")
    array = F.from_json(column, "array<string>")
    return F.when(column.startswith("["), array).otherwise(parts)


def from_text(column: Column, kind: str) -> Column:
    """A list or map of ``RAW_TYPES[kind]`` from text."""
    if kind == "strings":
        return strings(column)
    if kind == "numbers":
        return F.transform(strings(column), lambda v: v.try_cast("double"))
    return F.when(column.startswith("{"), F.from_json(column, RAW_TYPES[kind]))


def of_type(column: Column, kind: t.DataType, wanted: str) -> tuple[Column, Column | None]:
    """A column of a typed file as a raw field; and the text it was read from, if it was.

    Numbers and times stay what they are where a number or a time is wanted, as do lists and maps
    of the wanted form. All else goes by way of its text.
    """
    if wanted in _NATIVE and isinstance(kind, _NATIVE[wanted]):
        return column, None
    target = RAW_TYPES[wanted]
    if isinstance(target, t.ArrayType) and isinstance(kind, t.ArrayType):
        numbers = wanted == "numbers" and isinstance(kind.elementType, t.NumericType)
        if numbers or kind.elementType == target.elementType:
            return column.cast(target), None
    if isinstance(target, t.MapType) and kind == target:
        return column, None
    told = plain(column, kind)
    if isinstance(target, t.StringType):
        return told, None
    return from_text(told, wanted), told


def bad(column: Column, value: Column) -> Column:
    """True where there is text and it gave no value."""
    return column.isNotNull() & value.isNull()


def first_reason(conditions: list[tuple[str, Column]]) -> Column:
    """Name of the first condition that holds, null where none does."""
    return F.coalesce(*[F.when(holds, F.lit(name)) for name, holds in conditions])
