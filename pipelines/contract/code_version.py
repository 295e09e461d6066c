"""The version of code: a hash of the sources that a module imports.

A stage is made again when this version of its module changes, and only then. Of mrlm, pipelines and
spark_jobs count:

- the module itself, and every module that it imports, and so on: imports inside functions too, but
  not those under ``TYPE_CHECKING``, which never run;
- for ``from package import name``: the submodule of that name; else the module that the package's
  ``__init__`` imports the name from, there also under ``TYPE_CHECKING``, by which a package
  declares the names that it loads when they are asked for; else all that the ``__init__`` imports;
- every ``__init__`` on the way to a module, but not what it imports: modules of these packages only
  define names, and what a name stands for counts for whoever asks for it. All stages are imported
  through ``pipelines.stages``, which knows them all, and one is not changed by another;
- of a module that is used and imports others by a name that only running it tells
  (``import_module``): its whole package;
- templates and other files that are no Python: those beside a counted module that names them.

Only sources are read, so that asking is cheap and a heavy module stays unloaded. Other packages do
not count: those that are installed are the environment's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pipelines.contract.imports import PACKAGES, SUFFIXES, Sources

_ROOT = Path(__file__).resolve().parents[2]
# Stages share most of what they import, and a night asks for all of them.
_sources = Sources(_ROOT)


@cache
def code_version(module: str) -> str:
    """SHA-256 of the sources that a module imports, as this process first reads them, hexadecimal.

    Args:
        module: its name. Of one outside the three packages, which has to be imported already, its
            own file counts, and what it imports of theirs.

    Raises:
        ModuleNotFoundError: it has no source file.
    """
    return _hash(_sources.of(module))


def sources_version() -> str:
    """SHA-256 of every source file of mrlm, pipelines and spark_jobs now, hexadecimal."""
    found = (p for package in PACKAGES for p in (_ROOT / package).rglob("*"))
    paths = sorted(p for p in found if p.suffix in SUFFIXES)
    return _hash({p.relative_to(_ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths})


def _hash(files: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name, text in files.items():
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()
