"""A command that kills itself at one of its writes; run by path, with ``GIVEN`` among its globals.

What counts as a write: opening a file for it, bytes into a descriptor, an fsync, a rename, a
removal and a new folder below the registry's folder, and every commit of its database that changes
something.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy.engine.default

import pipelines.cli


def command(argv: list[str], registry: str, death: dict[str, Any] | None, log: str) -> None:
    sys.argv = argv
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    if death or log:
        _watch(registry, death, log)
    pipelines.cli.main()


def _watch(registry: str, death: dict[str, Any] | None, log: str) -> None:
    """Come between the process and each of its writes."""
    seen = 0
    opened = builtins.open

    def around(label: str, write: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        nonlocal seen
        if log:
            with opened(log, "a") as file:
                file.write(label + "\n")
        now = death is not None and death["label"] in label
        seen += now
        if not (now and death and seen == death["count"]):
            return write()
        if death["form"] == "after":
            write()
        elif death["form"] == "half" and half is not None:
            half()
        return os.kill(os.getpid(), signal.SIGKILL)

    def ours(path: Any) -> str:
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        text = str(Path(path).absolute())
        inside = text.startswith(registry) and "mlflow.db" not in text
        return text.removeprefix(registry).lstrip("/") if inside else ""

    def patched(module: Any, name: str, argument: int = 0) -> None:
        real = getattr(module, name)

        def call(*args: Any, **options: Any) -> Any:
            about = ours(args[argument]) if args else ""
            return (
                around(f"{name} {about}", lambda: real(*args, **options))
                if about
                else real(*args, **options)
            )

        setattr(module, name, call)

    for name in ("fsync", "ftruncate", "truncate", "unlink", "remove", "mkdir", "rmdir"):
        patched(os, name)
    for name in ("rename", "replace", "symlink"):
        patched(os, name, 1)
    write, open_low = os.write, os.open

    def open_descriptor(path: Any, flags: int, *args: Any, **options: Any) -> int:
        about = ours(path) if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else ""
        call = lambda: open_low(path, flags, *args, **options)  # noqa: E731
        return int(around(f"open {about}", call) if about else call())

    os.open = open_descriptor

    def write_file(descriptor: int, data: bytes) -> int:
        about = ours(descriptor)
        if not about:
            return write(descriptor, data)
        half = data[: len(data) // 2]
        return int(
            around(
                f"write {about}", lambda: write(descriptor, data), lambda: write(descriptor, half)
            )
        )

    os.write = write_file

    def open_file(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        about = "" if isinstance(file, int) or not set("wax+") & set(mode) else ours(file)
        call = lambda: opened(file, mode, *args, **options)  # noqa: E731
        return around(f"open {about}", call) if about else call()

    builtins.open = io.open = open_file
    commit = sqlalchemy.engine.default.DefaultDialect.do_commit

    def commit_changes(self: Any, connection: Any) -> None:
        if getattr(connection, "in_transaction", False):
            around("commit", lambda: commit(self, connection))
        else:
            commit(self, connection)

    sqlalchemy.engine.default.DefaultDialect.do_commit = commit_changes


if __name__ == "a command":
    command(**globals()["GIVEN"])
