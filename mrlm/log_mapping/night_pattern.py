"""Nights in paths: ``logs/dt=20191124/part-0.json`` is ``logs/dt={night:%Y%m%d}/part-0.json``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

# From the most to the least particular; a number that is no date is none.
_YEAR, _MONTH, _DAY = r"(?P<y>(?:19|20)\d\d)", r"(?P<m>0[1-9]|1[0-2])", r"(?P<d>[0-2]\d|3[01])"
_FORMS = (
    (rf"(?<!\d){_YEAR}-{_MONTH}-{_DAY}(?!\d)", "{night}"),
    (
        rf"year={_YEAR}/month={_MONTH}/day={_DAY}(?!\d)",
        "year={night:%Y}/month={night:%m}/day={night:%d}",
    ),
    (rf"(?<!\d){_YEAR}/{_MONTH}/{_DAY}(?!\d)", "{night:%Y/%m/%d}"),
    (rf"(?<!\d){_YEAR}_{_MONTH}_{_DAY}(?!\d)", "{night:%Y_%m_%d}"),
    (rf"(?<!\d){_YEAR}\.{_MONTH}\.{_DAY}(?!\d)", "{night:%Y.%m.%d}"),
    (rf"(?<!\d){_YEAR}{_MONTH}{_DAY}(?!\d)", "{night:%Y%m%d}"),
)


@dataclass(frozen=True)
class NightPattern:
    """A path with its night taken out.

    Attributes:
        pattern: the path with ``{night}``, or ``{night:FORMAT}``; the path where it names none.
        night: ISO date; None where the path names none.
    """

    pattern: str
    night: str | None


def night_pattern(path: str) -> NightPattern:
    """The pattern of a path, by the last date that it names."""
    for form, name in _FORMS:
        for found in reversed(list(re.finditer(form, path))):
            try:
                night = date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat()
            except ValueError:
                continue
            return NightPattern(path[: found.start()] + name + path[found.end() :], night)
    return NightPattern(path, None)
