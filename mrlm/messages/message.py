"""A sentence that keeps what it was made of, so that it can be told in another language."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, Self


class Message(str):
    """An English text made of a template with named fields, which it remembers.

    It is a text like any other: records, comparisons and terminals see the English. Whoever shows
    it in another language asks ``translated``.

    Attributes:
        template: format string with named fields, by which the catalogue is asked.
        fields: what the fields hold: numbers, names, or messages again.

    Examples:
        >>> told = Message("{rows} decisions", rows=12)
        >>> told, told.template, told.fields
        ('12 decisions', '{rows} decisions', {'rows': 12})
    """

    template: str
    fields: Mapping[str, Any]

    def __new__(cls, template: str, /, **fields: Any) -> Self:
        """The text of the template with its fields filled in."""
        return cls._made(template.format(**fields), template, fields)

    @classmethod
    def _made(cls, text: str, template: str, fields: Mapping[str, Any]) -> Self:
        made = super().__new__(cls, text)
        made.template, made.fields = template, fields
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and other processes keep the parts."""
        return _again, (type(self), self.template, dict(self.fields))


class Joined(Message):
    """Several texts in a row; the template is what stands between them, ``fields["texts"]`` they.

    Examples:
        >>> Joined("; ", ["one", "two"])
        'one; two'
    """

    def __new__(cls, separator: str, texts: Iterable[str], /) -> Self:
        """The texts with the separator between them."""
        parts = tuple(texts)
        return cls._made(separator.join(parts), separator, {"texts": parts})


class Name(Message):
    """A name that the program gave: of a policy, a figure, a category.

    Examples:
        >>> Name("item mean")
        'item mean'
    """

    def __new__(cls, name: str, /) -> Self:
        """The name as it is."""
        return cls._made(name, name, {})


def told_by(error: Exception) -> str:
    """What an error says; where that is a message, the message.

    Examples:
        >>> told_by(ValueError(Message("{rows} rows", rows=2))).template
        '{rows} rows'
    """
    only = error.args[0] if len(error.args) == 1 else None
    return only if isinstance(only, Message) and str(error) == only else str(error)


def recorded(value: Any) -> dict[str, Any]:
    """Text to what it was made of, of every message in nested data; plain JSON."""
    found: dict[str, Any] = {}
    if isinstance(value, Message):
        found[str(value)] = _parts(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            found |= recorded(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            found |= recorded(inner)
    return found


def restored(value: Any, record: Mapping[str, Any]) -> Any:
    """The same data, in which every text that the record knows is the message that it was.

    Args:
        value: plain JSON.
        record: of ``recorded``; what does not make its text is left out.
    """
    if isinstance(value, str) and value in record:
        made = _from_parts(record[value])
        return made if made == value else value
    if isinstance(value, Mapping):
        return {name: restored(inner, record) for name, inner in value.items()}
    return [restored(inner, record) for inner in value] if isinstance(value, list) else value


def _again(cls: type[Message], template: str, fields: dict[str, Any]) -> Message:
    return cls(template, fields["texts"]) if issubclass(cls, Joined) else cls(template, **fields)


def _parts(value: Any) -> Any:
    if isinstance(value, Joined):
        return {"between": value.template, "texts": [_parts(t) for t in value.fields["texts"]]}
    if isinstance(value, Name):
        return {"name": value.template}
    if isinstance(value, Message):
        fields = {name: _parts(field) for name, field in value.fields.items()}
        return {"template": value.template, "fields": fields}
    if isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    number = float(value)
    # JSON has no NaN.
    return number if math.isfinite(number) else {"number": str(number)}


def _from_parts(parts: Any) -> Any:
    if not isinstance(parts, Mapping):
        return parts
    if "name" in parts:
        return Name(parts["name"])
    if "number" in parts:
        return float(parts["number"])
    if "between" in parts:
        return Joined(parts["between"], map(_from_parts, parts["texts"]))
    return Message(
        parts["template"], **{name: _from_parts(field) for name, field in parts["fields"].items()}
    )
