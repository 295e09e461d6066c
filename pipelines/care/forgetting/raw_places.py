"""Where the user's own raw files lie, which the program never writes to."""

from __future__ import annotations

import re
from pathlib import Path

from pipelines.settings.model import Settings
from pipelines.settings.night_path import split_at_nights

_DAY = r"\d{4}-\d{2}-\d{2}"


class RawPlaces:
    """The places that settings name for raw files, of every night.

    Args:
        settings: of the deployment.
    """

    def __init__(self, settings: Settings) -> None:
        inputs = settings.inputs
        paths = [inputs.table(table).path for table in inputs.tables]
        more = (inputs.candidate_set_path, inputs.sent_path, settings.truth_path)
        paths += [p for p in more if p is not None]
        self._patterns = [_pattern(p) for p in paths if "://" not in p or p.startswith("file://")]

    def hold(self, path: Path) -> bool:
        """Whether a file is, or lies below, what one of the paths names for some night."""
        place = str(path.resolve())
        return any(pattern.fullmatch(place) for pattern in self._patterns)


def _pattern(path: str) -> re.Pattern[str]:
    """Whole paths that a path of the settings stands for, and all below them."""
    told = "".join(
        _glob(part) if form is None else _of_night(form)
        for part, form in split_at_nights(str(Path(path.removeprefix("file://")).resolve()))
    )
    return re.compile(f"{told}(?:/.*)?", re.S)


def _of_night(form: str) -> str:
    """Texts of a date: of a form, ``%Y%m%d``, or without one the ISO date."""
    return re.sub("(%[A-Za-z])|([^%]+)", _of_form, form) if form else _DAY


def _of_form(found: re.Match[str]) -> str:
    return r"\d+" if found[1] else re.escape(found[2])


def _glob(text: str) -> str:
    """Texts that a part of a glob stands for: ``**`` for any folders, ``*`` within a name."""
    stars = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    parts = re.split(r"(\*\*/|\*\*|\*)", text)
    return "".join(stars.get(part, re.escape(part)) for part in parts)
