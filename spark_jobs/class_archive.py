"""Java's loaded classes, kept between processes: a third of a short job's work is loading them.

The first session of an environment writes the archive when it ends; later ones map it. Java checks
that an archive fits it and goes on without one that does not.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

# Java 17's way, and the later ones'.
_USE = " -Xshare:auto -Xlog:cds=off -Xlog:class+path=off -XX:SharedArchiveFile={}"
_WRITE = " -Xlog:cds=off -Xlog:cds+dynamic=off -XX:ArchiveClassesAtExit={}"
_SECONDS = 60.0


def archive_of(java_home: Path) -> Path | None:
    """Where the archive of this environment and Java is, or would be; None where none can be."""
    import pyspark

    folder = Path(sys.prefix) / "var" / "mrlm"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        return None
    name = f"{pyspark.__version__}\0{java_home.resolve()}\0{Path(pyspark.__file__).parent}"
    return folder / f"spark-{hashlib.sha256(name.encode()).hexdigest()[:12]}.jsa"


def java_options(archive: Path | None) -> str:
    """Options of a Java that reads the archive, or writes one when it ends."""
    if archive is None:
        return ""
    if archive.is_file():
        return _USE.format(archive)
    _remove_left(archive)
    return _WRITE.format(_unfinished(archive))


def keep_at_exit(archive: Path | None) -> None:
    """Where this process's Java writes an archive: wait for it at exit, and give it its name."""
    if archive is not None and not archive.is_file():
        atexit.register(_keep, archive)


def _keep(archive: Path) -> None:
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    process: subprocess.Popen[bytes] | None = getattr(gateway, "proc", None)
    if process is None or process.stdin is None:
        return
    # Java ends when its input does, and writes the archive then.
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS)
    unfinished = _unfinished(archive)
    if process.poll() == 0 and unfinished.is_file():
        unfinished.replace(archive)
    unfinished.unlink(missing_ok=True)


def _remove_left(archive: Path) -> None:
    """Remove what Java wrote for processes that were killed before they could name it."""
    for path in archive.parent.glob(f"{archive.stem}.*"):
        if path.suffix[1:].isdigit() and not psutil.pid_exists(int(path.suffix[1:])):
            path.unlink(missing_ok=True)


def _unfinished(archive: Path) -> Path:
    """One a process: several may write at the same time, the rename is atomic."""
    return archive.with_suffix(f".{os.getpid()}")
