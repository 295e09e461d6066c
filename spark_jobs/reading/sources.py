"""How settings say where a field's value lies in a row: names, paths into nested rows, constants.

A source is ``name``, a path such as ``c._multi[a[0]-1].id``, ``=text`` for a constant, or ``-path``
for a negated number. In a path ``.name`` goes into an object and ``[…]`` into a list: a number
counts from 0, ``*`` takes all elements, nothing takes the element that the row stands for,
``#`` is that element's number from 1, and another path, plus or minus a whole number, gives the
number that it holds; ``list=value`` gives the place at which the list holds the value. With spaces,
``path + 1`` adds to the number that it leads to. A name with any of these characters is quoted in
backticks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

_NAME = re.compile(r"`([^`]+)`|([^.\[\]`]+)")
_SHIFT = re.compile(r"^(.*?)([+-]\d+)?$", re.S)
_PLUS = re.compile(r"^(.*?)(?: +([+-] *\d{1,9}))?$", re.S)
_NESTED = 8


@dataclass(frozen=True)
class Step:
    """One step into a value.

    Attributes:
        kind: ``name`` into an object; ``at`` a fixed element, ``all`` elements, ``this`` element,
            its ``number``, the element ``by`` another path, or ``where`` one holds what another
            leads to.
        name: of ``name``.
        index: of ``at``, from 0; of ``by`` what is added to the path's number.
        by: of ``by``, and of ``where`` the list.
        value: of ``where``, what the list holds there.
    """

    kind: Literal["name", "at", "all", "this", "number", "by", "where"]
    name: str = ""
    index: int = 0
    by: tuple[Step, ...] = field(default=())
    value: tuple[Step, ...] = field(default=())

    @property
    def many(self) -> bool:
        """Whether it gives a list."""
        return self.kind == "all" or (self.kind == "by" and any(s.many for s in self.by))


@dataclass(frozen=True)
class Source:
    """Where a value comes from.

    Attributes:
        path: the steps; empty for a constant.
        constant: the text of all rows; None: the path tells.
        negated: whether the number is taken with the other sign.
        plus: what is added to the number.
    """

    path: tuple[Step, ...] = ()
    constant: str | None = None
    negated: bool = False
    plus: int = 0

    @property
    def plain(self) -> bool:
        """Whether it is the value of one column as it is."""
        changed = self.constant is not None or self.negated or self.plus != 0
        return not changed and len(self.path) == 1


def parse_source(text: str) -> Source:
    """The source that a text of the settings names.

    Raises:
        ValueError: the text is no source, and where it goes wrong.
    """
    if text.startswith("="):
        return Source(constant=text[1:])
    negated = text.startswith("-")
    found = _PLUS.match(text[negated:])
    assert found is not None  # noqa: S101 - the pattern takes any text
    return Source(
        parse_path(found[1]), negated=negated, plus=int((found[2] or "0").replace(" ", ""))
    )


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path.

    Raises:
        ValueError: the text is no path, and where it goes wrong.
    """
    return _path(text, text, 0)


def _path(text: str, whole: str, depth: int) -> tuple[Step, ...]:
    if depth > _NESTED:
        raise ValueError(f"{whole!r} is nested too deep")
    steps: list[Step] = []
    at = 0
    while at < len(text) or not steps:
        if steps and text[at] == "[":
            end = _closing(text, at, whole)
            steps.append(_index(text[at + 1 : end], whole, depth))
            at = end + 1
            continue
        if steps:
            if text[at] != ".":
                raise ValueError(
                    f"{whole!r} is no path: '.' or '[' is missing before {text[at:]!r}"
                )
            at += 1
        found = _NAME.match(text, at)
        if found is None:
            raise ValueError(f"{whole!r} is no path: a name is missing at its character {at + 1}")
        steps.append(Step("name", (found[1] or found[2]).strip()))
        at = found.end()
    return tuple(steps)


def _closing(text: str, at: int, whole: str) -> int:
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] == "[") - (text[i] == "]")
        if depth == 0:
            return i
    raise ValueError(f"{whole!r} is no path: a '[' is not closed")


def _index(text: str, whole: str, depth: int) -> Step:
    inner = text.strip()
    signs: dict[str, Step] = {"": Step("this"), "*": Step("all"), "#": Step("number")}
    if inner in signs:
        return signs[inner]
    if re.fullmatch(r"\d{1,9}", inner):
        return Step("at", index=int(inner))
    if "=" in inner:
        listed, _, held = inner.partition("=")
        by, value = (_path(part.strip(), whole, depth + 1) for part in (listed, held))
        return Step("where", by=by, value=value)
    found = _SHIFT.match(inner.replace(" ", ""))
    assert found is not None  # noqa: S101 - the pattern takes any text
    return Step("by", index=int(found[2] or 0), by=_path(found[1], whole, depth + 1))
