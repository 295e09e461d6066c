"""The version of the code: a hash of the packages' sources."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_PACKAGES = ("mrlm", "pipelines", "spark_jobs")
_SUFFIXES = {".py", ".j2", ".toml"}


@cache
def code_version() -> str:
    """Version of the code that this process runs: of the sources when it first asks."""
    return sources_version()


def sources_version() -> str:
    """SHA-256 of every source file of mrlm, pipelines and spark_jobs now, hexadecimal."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in _SUFFIXES:
                digest.update(path.relative_to(root).as_posix().encode() + b"\0")
                digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()
