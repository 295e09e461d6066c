"""What libraries, the disk and the registry raise, as this program's errors: a sentence and a code.

A stage and the command line ask here about every exception that is not one of our own. What is not
known here is a defect of the program: see pipelines/commands/crash.py.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator

import pyarrow as pa

from mrlm.promotion.registry.place import RegistryPlace
from pipelines.failures.errors import BusyError, DataError, UnavailableError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
_SHORT = {errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EBUSY, errno.ESTALE}
# Java and Rust pass on the system's text, without its number.
_FULL_TEXTS = tuple(os.strerror(n) for n in sorted(_FULL))
_FORBIDDEN_TEXTS = tuple(os.strerror(n) for n in sorted(_FORBIDDEN))
# Of what a library says.
_SHOWN = 500

_SPACE = (
    "free some space ('mrlm clean --keep NIGHTS' removes old runs), then run the same command "
    "again: it goes on from here"
)
_WRITABLE = "make it accessible to this user, or change where the settings place it"


def explained(
    error: BaseException, registry: RegistryPlace | None = None
) -> DataError | UnavailableError | None:
    """The error of this program that says what a library's error means.

    Args:
        error: that was caught.
        registry: whose database errors are told of.

    Returns:
        None where it is one of ours, a defect, or nothing that is known here.
    """
    if isinstance(error, (DataError, BusyError)):
        return None
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, MemoryError):
        return UnavailableError(
            f"memory does not suffice ({error or 'no more was given'}): end other work, or lower "
            "spark.driver_memory and the nights that are read (section split)"
        )
    if isinstance(error, pa.ArrowException):
        return DataError(f"a table cannot be read: {_line(error)}")
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return DataError(f"a file does not hold the JSON that is expected: {error}")
    library = _library(error)
    if library.startswith("safetensors"):
        return _of_text(error) or DataError(f"a file of weights cannot be read: {_line(error)}")
    if library in {"pyspark", "py4j"}:
        return _of_text(error) or _of_spark(error)
    if library in {"sqlite3", "sqlalchemy", "mlflow", "alembic"}:
        return _of_registry(error, registry)
    return None


def _of_system(error: OSError) -> DataError | UnavailableError:
    at = f"{error.filename}: " if error.filename else ""
    # What the program says itself of a missing file is told whole.
    said = error.strerror or (_line(error) if _library(error) else str(error))
    if error.errno in _FULL:
        return UnavailableError(f"{at}{said}: {_SPACE}")
    if error.errno in _FORBIDDEN:
        return DataError(f"{at}{said}: {_WRITABLE}")
    if error.errno in _SHORT or isinstance(error, (ConnectionError, TimeoutError)):
        return UnavailableError(f"{at}{said}: try again")
    # Errors of web clients are of this class, and have no number.
    if error.errno is None and _library(error) in {"requests", "urllib", "urllib3"}:
        return UnavailableError(f"{said}: try again")
    # Whoever copies a tree gathers what the system refused, as text.
    return _of_text(error) or DataError(f"{at}{said}")


def _of_text(error: BaseException) -> DataError | UnavailableError | None:
    """What the system refused a library that keeps its words alone."""
    text = str(error)
    for said in _FULL_TEXTS:
        if said in text:
            return UnavailableError(f"{said} ({_line(error)[:_SHOWN]}): {_SPACE}")
    for said in _FORBIDDEN_TEXTS:
        if said in text:
            return DataError(f"{said} ({_line(error)[:_SHOWN]}): {_WRITABLE}")
    return None


def _of_spark(error: BaseException) -> DataError | UnavailableError:
    if type(error).__name__ == "Py4JNetworkError" or not str(error):
        return UnavailableError(
            "Spark's Java ended while it worked, as it does where memory is short: try again, or "
            "lower spark.driver_memory"
        )
    parameters: dict[str, str] = getattr(error, "getMessageParameters", dict)() or {}
    path = parameters.get("path")
    at = f"{path} cannot be read; is it whole? " if path else ""
    return DataError(f"{at}Spark: {_line(error)}")


def _of_registry(
    error: BaseException, registry: RegistryPlace | None
) -> DataError | UnavailableError:
    place = "the registry"
    if registry is not None and registry.tracking_uri is None:
        place = f"the registry's database {registry.folder / 'mlflow.db'}"
    for cause in _causes(error):
        if isinstance(cause, sqlite3.Error):
            return _of_sqlite(cause, place)
        if isinstance(cause, (OSError, MemoryError)):
            found = explained(cause)
            if found is not None:
                return type(found)(f"{place}: {found}")
    if type(error).__name__ in {"OperationalError", "InterfaceError"}:
        return UnavailableError(f"{place} does not answer: {_line(error)}")
    return DataError(f"{place} cannot be used: {_line(error)}")


def _of_sqlite(error: sqlite3.Error, place: str) -> DataError | UnavailableError:
    # The lowest byte is the kind, the others say more of it.
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return UnavailableError(f"{place}: {error}: {_SPACE}")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return UnavailableError(f"{place}: {error}: try again")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}:
        return DataError(f"{place}: {error}: {_WRITABLE}")
    return DataError(
        f"{place} is damaged: {error}. Put back a copy of it, then see what 'mrlm verify' says"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from or while."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = getattr(current, "orig", None) or current.__cause__ or current.__context__


def _library(error: BaseException) -> str:
    """The package whose error it is, or is derived from; the libraries are not imported for it."""
    known = [c.__module__.partition(".")[0] for c in type(error).__mro__]
    return next((m for m in known if m not in {"builtins", "__main__"}), "")


def _line(error: BaseException) -> str:
    """The first line of what an error says."""
    return next((x.strip() for x in str(error).splitlines() if x.strip()), type(error).__name__)
