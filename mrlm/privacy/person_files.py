"""Files without what names a person, whatever their kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mrlm.privacy.person import Person
from mrlm.privacy.person_rows import (
    KEYS,
    Change,
    Texts,
    holds,
    reading,
    rewrite,
    without_rows,
    without_texts,
)
from mrlm.privacy.person_texts import is_text, names, text_without

_QUARANTINED = {"table", "reason", "raw"}

Names = Mapping[str, Mapping[str, Texts]]
"""Table to contract name to what its raw lines have there, where that is not the name itself."""


def holds_person(path: Path, person: Person, columns: Names | None = None) -> bool:
    """Whether a file has rows of the person, or names them in its text.

    Args:
        path: of the file.
        person: who is looked for.
        columns: for quarantined rows.
    """
    if path.suffix == ".parquet":
        change, wanted = _change_of(path, person, columns or {})
        return holds(path, change, wanted)
    return names(path, person)


def changed_copy(
    path: Path,
    target: Path,
    person: Person,
    columns: Names | None = None,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write a copy without the person; how many rows of a table were theirs.

    Args:
        path: of the file.
        target: of the copy.
        person: who is left out.
        columns: for quarantined rows.
        metadata: more of it, for a Parquet file.

    Raises:
        ValueError: the file is of a kind that nobody here can change.
    """
    if path.suffix == ".parquet":
        return rewrite(path, target, _change_of(path, person, columns or {})[0], metadata)
    if not is_text(path):
        raise ValueError(f"{path} names the person, and is neither Parquet nor text")
    target.write_text(text_without(path.read_text(), path.suffix, person))
    return 0


def _change_of(path: Path, person: Person, columns: Names) -> tuple[Change, tuple[str, ...]]:
    """What is done with the rows of a file, and by which of its columns they are known."""
    with reading(path) as file:
        found = set(file.schema_arrow.names)
    if found >= _QUARANTINED:
        return without_texts(person, columns), tuple(sorted(_QUARANTINED))
    return without_rows(person), KEYS
