"""The embedded MLflow store of a registry whose folder was moved or copied.

MLflow keeps the absolute address of every artifact and has no relative form. After a move they
would lead nowhere; after a copy, into the original.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

# Where MLflow 3 keeps addresses of artifacts.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
# A writer of the store holds it for milliseconds.
_WAIT_SECONDS = 60.0


def follow_move(database: Path, artifacts: Path) -> None:
    """Make a store name the artifacts beside it; nothing changes where it does.

    Whoever opens it first after a move does this, in one transaction.

    Args:
        database: MLflow's SQLite file; it may be missing, or empty as while it is made.
        artifacts: absolute folder of the artifacts, in the same folder as the database.

    Raises:
        ValueError: the file is no database, or it was moved and must not be written.
        TimeoutError: other processes kept it locked for a minute.
        OSError: the disk is full.
    """
    if not database.is_file():
        return
    here = artifacts.as_uri()
    try:
        with closing(sqlite3.connect(database, timeout=_WAIT_SECONDS)) as store:
            if not _roots_elsewhere(store, here):
                return
            with store:
                store.execute("BEGIN IMMEDIATE")
                # Another process may have been faster.
                for root in _roots_elsewhere(store, here):
                    _rewrite(store, root, here)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith("SQLITE_FULL"):
            full = errno.ENOSPC
            raise OSError(full, os.strerror(full), str(database)) from error
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise TimeoutError(f"{database} is locked by another process: try again") from error
        raise ValueError(f"{database}: {error}; it is written once after a move or copy") from error
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{database}: {error}; put a backup in its place") from error


def _roots_elsewhere(store: sqlite3.Connection, here: str) -> list[str]:
    """Addresses of other folders that a registry of this layout had."""
    if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return []
    # Somebody's own experiment, with artifacts in a place of another form, is left alone.
    layout = "/" + "/".join(here.rsplit("/", 2)[1:])
    found = store.execute("SELECT DISTINCT artifact_location FROM experiments")
    return [r for (r,) in found if r and r != here and r.startswith("file:") and r.endswith(layout)]


def _rewrite(store: sqlite3.Connection, root: str, here: str) -> None:
    for table, column in _ADDRESSES:
        # Names of our own, which cannot be parameters.
        store.execute(
            f"UPDATE {table} SET {column} = :here || substr({column}, :length + 1) "  # noqa: S608
            f"WHERE {column} = :root OR substr({column}, 1, :length + 1) = :root || '/'",
            {"here": here, "root": root, "length": len(root)},
        )
