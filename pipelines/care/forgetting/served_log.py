"""The server's own log without a person: their rows leave it, file by file."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from mrlm.privacy.person import Person
from pipelines.settings.model import Settings
from pipelines.settings.served_path import served_column, served_files, served_path

_COPY = ".erasing"


def erase_served(
    settings: Settings, root: Path, person: Person, leave: Callable[[str], None]
) -> tuple[int, int]:
    """Take a person's rows out of what ``mrlm serve`` has written; killed anywhere, call it again.

    A line that nobody can read is left out where it names them. A file that a server still writes
    is left, for a copy would lose what it writes meanwhile.

    Args:
        settings: say where the log lies and what its columns are called.
        root: of the workspace.
        person: who is left out; all their requests are known by now.
        leave: is told of each file that still names them, and what to do.

    Returns:
        How many files changed, and how many rows left them.
    """
    names = _names(settings)
    files = rows = 0
    for file in served_files(served_path(settings, root)):
        file.with_name(f".{file.name}{_COPY}").unlink(missing_ok=True)
        with file.open("rb") as opened:
            # Before it is read: what a server writes after that would be lost.
            alone = _locked(opened)
            kept, gone = _kept(opened.read(), person, names)
            if gone and alone:
                _replace(file, kept)
        if not gone:
            continue
        if not alone:
            leave(
                f"{file} names the person, and a server still writes it: repeat the command "
                "when its night is over, or when the server has been stopped"
            )
            continue
        files, rows = files + 1, rows + gone
    return files, rows


def served_requests(settings: Settings, root: Path, person: Person) -> frozenset[str]:
    """Ids of a person's requests that ``mrlm serve`` has answered, ingested or not."""
    user, request = _names(settings)
    found = set()
    for file in served_files(served_path(settings, root)):
        with file.open("rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                    if row.get(user) == person.user_id:
                        found.add(str(row[request]))
                except (ValueError, AttributeError, KeyError):
                    # Nobody can tell whose it is.
                    continue
    return frozenset(found)


def _names(settings: Settings) -> tuple[str, str]:
    """What the log calls users and requests."""
    columns = settings.inputs.impressions.columns
    return served_column("user_id", columns), served_column("request_id", columns)


def _locked(file: IO[bytes]) -> bool:
    """Whether nobody writes the file, nor will until it is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kept(data: bytes, person: Person, names: tuple[str, str]) -> tuple[bytes, int]:
    """The lines that are not theirs, and how many are."""
    lines = data.splitlines(keepends=True)
    kept = [line for line in lines if not _is_theirs(line, person, names)]
    return b"".join(kept), len(lines) - len(kept)


def _is_theirs(line: bytes, person: Person, names: tuple[str, str]) -> bool:
    user, request = names
    try:
        row = json.loads(line)
        return row.get(user) == person.user_id or person.has_request(row.get(request))
    except (ValueError, AttributeError, TypeError):
        return person.stands_in_unread(line.decode(errors="replace"))


def _replace(file: Path, data: bytes) -> None:
    copy = file.with_name(f".{file.name}{_COPY}")
    with copy.open("wb") as new:
        new.write(data)
        new.flush()
        os.fsync(new.fileno())
    copy.chmod(file.stat().st_mode & 0o777)
    copy.replace(file)
