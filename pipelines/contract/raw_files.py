"""Where raw input lies: a file, a folder of files or a glob, on this machine or elsewhere."""

from __future__ import annotations

from pathlib import Path

import pyarrow.fs as pafs

# Bytes of text for one of a file: what is packed holds more than its size says.
_UNPACKED = {".parquet": 6, ".gz": 5, ".bz2": 6, ".zst": 6, ".lz4": 3, ".snappy": 3}


def raw_files(path: str) -> tuple[pafs.FileSystem, list[pafs.FileInfo]]:
    """Files of raw input at a path, by name; hidden ones and marks are left out.

    Raises:
        FileNotFoundError: there is nothing at the path.
    """
    local = (pafs.LocalFileSystem(), str(Path(path).resolve()))
    filesystem, place = pafs.FileSystem.from_uri(path) if "://" in path else local
    if "*" in place and "://" not in path:
        return filesystem, _matching(filesystem, place)
    info = filesystem.get_file_info(place)
    if info.type == pafs.FileType.NotFound:
        raise FileNotFoundError(f"{path} is not there")
    if info.type != pafs.FileType.Directory:
        return filesystem, [info]
    found = filesystem.get_file_info(pafs.FileSelector(place, recursive=True))
    files = (f for f in found if f.type == pafs.FileType.File)
    shown = (f for f in files if not f.base_name.startswith(("_", ".")))
    return filesystem, sorted(shown, key=lambda f: f.path)


def _matching(filesystem: pafs.FileSystem, pattern: str) -> list[pafs.FileInfo]:
    infos = filesystem.get_file_info(sorted(map(str, Path("/").glob(pattern.lstrip("/")))))
    found = [f for f in infos if f.type == pafs.FileType.File and f.base_name[0] not in "_."]
    if not found:
        raise FileNotFoundError(f"nothing is at {pattern}")
    return found


def raw_bytes(path: str) -> int:
    """About how many bytes the rows at a path would have as text; 0 where there is nothing."""
    try:
        _, files = raw_files(path)
    except (OSError, ValueError):
        return 0
    return sum(f.size * _UNPACKED.get(Path(f.path).suffix, 1) for f in files)
