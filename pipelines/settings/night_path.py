"""Paths of the settings that hold a night: ``{night}``, or ``{night:%Y%m%d}`` in another form."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from datetime import date

from spark_jobs.contract.nearest import meant

_NIGHT = re.compile(r"\{night(?::([^{}]*))?\}")
_OTHER = re.compile(r"\{(\w+)[^{}]*\}")
# Parts of a date that do not depend on the machine's language.
_FORMAT = re.compile(r"(?:%[YmdyjUGVu]|[^%])+")


def names_night(path: str) -> bool:
    """Whether a path differs from night to night."""
    return _NIGHT.search(path) is not None


def night_path(path: str, night: str) -> str:
    """The path of one night.

    Args:
        path: of the settings.
        night: ISO date.
    """
    day = date.fromisoformat(night)
    return _NIGHT.sub(lambda m: day.strftime(m[1]) if m[1] else night, path)


def any_night(path: str) -> str:
    """The path as a pattern that fits every night's."""
    pieces = split_at_nights(path)
    return "".join(glob.escape(part) if form is None else "*" for part, form in pieces)


def split_at_nights(path: str) -> Iterator[tuple[str, str | None]]:
    """The path in pieces: text and None, or "" and the form of a date, "" where it has none."""
    at = 0
    for found in _NIGHT.finditer(path):
        yield path[at : found.start()], None
        yield "", found[1] or ""
        at = found.end()
    yield path[at:], None


def checked_night_path(path: str) -> str:
    """The path as it is.

    Raises:
        ValueError: a ``{night:…}`` in it has a form that is no date's, or there is another name in
            braces.
    """
    for name in _OTHER.findall(_NIGHT.sub("", path)):
        raise ValueError(
            f"{{{name}}} stands for nothing{meant(name, ['night'])} Paths have {{night}}, or "
            "{night:%Y%m%d} for dates in another form"
        )
    for found in _NIGHT.finditer(path):
        form = found[1]
        if form is not None and not _FORMAT.fullmatch(form):
            raise ValueError(
                f"{found[0]!r} is no form of a date: use %Y, %m and %d, such as {{night:%Y%m%d}}"
            )
    return path
