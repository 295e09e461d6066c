"""Lines of a text file, none of them longer than memory may bear."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mrlm.ope.table.files.file_error import FileError

JSON_LINE, CSV_HEADER = 1 << 23, 1 << 20


def lines_of(path: Path, most: int) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1; UTF-8, with or without the mark at its beginning.

    Args:
        path: of a regular file.
        most: bytes of a line.

    Raises:
        ValueError: a line is longer or not UTF-8; file and line are named.
    """
    with path.open("rb") as file:
        at = 0
        while raw := file.readline(most + 1):
            at += 1
            if len(raw) > most:
                raise FileError(
                    path, f"line {at} is longer than {most >> 20} MiB: write one record a line"
                )
            try:
                yield at, raw.decode("utf-8-sig" if at == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise FileError(
                    path,
                    f"line {at} is not UTF-8 ({error.reason} at byte {error.start}): save "
                    "the file as UTF-8",
                ) from None
