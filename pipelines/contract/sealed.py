"""Small JSON files of the workspace that carry a checksum of what they say.

They decide what is read, run and judged, so a file that a disk or an editor changed must not be
taken for one that was written. Files of versions that wrote no checksum are read as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pipelines.contract.workspace import write_atomically
from pipelines.failures.errors import DamagedError

T = TypeVar("T")

_CHECKSUM = "checksum"


def write_sealed(path: Path, data: dict[str, Any]) -> None:
    """Write plain data and its checksum, atomically."""
    # As it will be read: lists for tuples, text for numbers as keys.
    plain: dict[str, Any] = json.loads(json.dumps(data))
    sealed = {**plain, _CHECKSUM: _checksum(plain)}
    write_atomically(path, json.dumps(sealed, indent=1, sort_keys=True))


def read_sealed(path: Path, make: Callable[[dict[str, Any]], T], remedy: str) -> T:
    """What ``make`` makes of the file's data.

    Args:
        path: of the file.
        make: takes the data without the checksum; a ``TypeError``, ``KeyError`` or ``ValueError``
            of it says that the data are not what was written.
        remedy: what to do about a damaged file, for its message.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedError: it is empty, cut short or changed; names the file.
    """
    try:
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict):
            raise TypeError("it holds no JSON object")
        stated = data.pop(_CHECKSUM, None)
        if stated is not None and stated != _checksum(data):
            raise ValueError("its checksum is of other data")
        return make(data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{path} is damaged: {_why(error)}. {remedy}") from error


def _checksum(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "its JSON is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)
