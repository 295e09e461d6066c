"""Checksums of the files that a stage wrote, by which its readers notice damage.

Fingerprints say whether content is new, and cost as much as reading it as a table. These are of
bytes: they cost a hundredth of it, and any reader can afford them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

# By what tells whether a file was touched since: it is read once a process, also under a new name.
_seen: dict[tuple[int, ...], str] = {}


def of_files(folder: Path, expiring: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path relative to it.

    Args:
        folder: of the files.
        expiring: folders in it that are left out.
    """
    names = {p.relative_to(folder).as_posix(): p for p in _files(folder)}
    return {
        n: of_file(p) for n, p in names.items() if not any(_below(n, place) for place in expiring)
    }


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    state = state_of(path)
    if state not in _seen:
        with path.open("rb") as stream:
            _seen[state] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _seen[state]


def state_of(path: Path) -> tuple[int, ...]:
    """What is another when a file was touched, though not when it was renamed."""
    about = path.stat()
    times = (about.st_mtime_ns, about.st_ctime_ns)
    return (about.st_dev, about.st_ino, about.st_size, *times)


def damage(folder: Path, stated: dict[str, str], place: str = "") -> str:
    """What is wrong with the files at a place, naming the file; empty when nothing is.

    Args:
        folder: that ``stated`` is relative to.
        stated: path to checksum.
        place: a file or a folder, relative; empty for all that is stated.

    Raises:
        OSError: a file is there and cannot be read.
    """
    inside = {n: s for n, s in stated.items() if not place or n == place or _below(n, place)}
    if not inside:
        return f"{folder / place} is nothing that the stage wrote"
    for name, checksum in inside.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        if of_file(path) != checksum:
            return f"{path} is damaged: its {path.stat().st_size} bytes are not those written"
    if place and place not in inside:
        # Whoever reads a folder of tables reads every file that lies there.
        for path in _files(folder / place):
            name = path.relative_to(folder).as_posix()
            if name not in inside and not path.name.startswith((".", "_")):
                return f"{path} was not written by the stage"
    return ""


def _below(name: str, place: str) -> bool:
    return name.startswith(f"{place}/")


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())
