"""Java's classes as one archive, which a start maps into memory instead of loading them one by one.

Spark's start and its first job read some twelve thousand classes out of three hundred jars and
check each: 10 processor seconds without the archive, 6 with it, at every start (measured on two
cores; a start of ``make test`` and of each stage that finds no Java that was left). It costs 35
processor seconds and 190 MB beside the packages, once, by ``make setup``, so that a demonstration
alone gains nothing: nights do. Java takes no archive of another Java, of other jars or of another
place, and then starts as without one. To be deleted once Java makes such archives by itself
(``-XX:+AutoCreateSharedArchive``, from 19 on) in every version that Spark needs.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

# What Java says of an archive that it does not take is nothing to a user.
_SILENT = "-Xlog:cds*=off"


def place(java_home: Path) -> Path:
    """Where the archive for a Java of ``java_home()`` lies, in this environment."""
    name = f"{java_home.name}-spark-{version('pyspark')}.jsa"
    return Path(sys.prefix) / "share" / "mrlm" / name


def reading(java_home: Path) -> str:
    """Java's options to start with the archive; empty where there is none."""
    archive = place(java_home)
    return f" -XX:SharedArchiveFile={archive} {_SILENT}" if archive.is_file() else ""


def writing(archive: Path) -> str:
    """Java's options to write an archive of all it has loaded when it ends."""
    return f" -XX:ArchiveClassesAtExit={archive} {_SILENT}"
