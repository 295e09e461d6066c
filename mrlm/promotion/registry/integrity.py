"""What a version's files were when it was registered, and whether they still are.

The registry's database keeps, as a tag of the version, the hash of every file of its model folder:
of bundle, code, evidence, stored probabilities and MLflow's own. Whoever can write the folder and
not the database can change a file and not its hash. Nothing of a version is read or run before the
two agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from pathlib import Path

from mrlm.evidence.canonical import canonical_json

CONTENT = "mrlm.content"
_TAG_LENGTH = 100_000
_TOLD = 5
_CACHE = "__pycache__"
# MLflow notes here by which name and number somebody loaded the folder, and reads it nowhere.
_LOADED_AS = "registered_model_meta"
_NOTE_LENGTH = 1000
_NOTE_FORM = re.compile(rb"model_name: [^\n]{1,900}\nmodel_version: (?:null|'?\d+'?)\n")


class VersionError(ValueError):
    """A version that must not be read, run or served as it is."""


class DamagedVersionError(VersionError):
    """A version's files are not those that were registered."""


class NoHashesError(VersionError):
    """The version was registered before hashes of its files were kept."""


def content_of(folder: Path) -> str:
    """What the tag ``mrlm.content`` says of a model folder: path to SHA-256, as canonical JSON.

    Raises:
        DamagedVersionError: the folder is missing or empty, holds a link or a special file, or more
            files than a tag can name.
    """
    hashes, problems = _hashes(folder)
    caches = [path for path in hashes if _CACHE in path.split("/")]
    problems += [_extra(folder, path) for path in caches]
    if problems:
        raise DamagedVersionError(told(tuple(problems)))
    if not hashes:
        raise DamagedVersionError(f"{folder} is missing or empty: put it back from a backup")
    text = canonical_json(hashes)
    if len(text) > _TAG_LENGTH:
        raise DamagedVersionError(f"{folder} holds {len(hashes)} files, more than a tag can name")
    return text


def content_hash(content: str) -> str:
    """One hash over all that a tag ``mrlm.content`` names, hexadecimal."""
    return hashlib.sha256(content.encode()).hexdigest()


def damage(content: str, folder: Path, part: str = "") -> tuple[str, ...]:
    """How a folder differs from what its tag says, file by file, in words; nothing when whole.

    Args:
        content: the tag's value.
        folder: the model folder.
        part: look at this folder inside it alone; "": at all of it.
    """
    if not folder.is_dir():
        return (f"its folder {folder} is missing: put it back from a backup",)
    files: dict[str, str] = json.loads(content)
    files = {path: h for path, h in files.items() if not part or path.startswith(f"{part}/")}
    hashes, problems = _hashes(folder, part)
    for path in sorted(files.keys() | hashes.keys()):
        shown = _shown(folder / path)
        if path not in hashes:
            problems.append(f"{shown} is missing: put it back from a backup")
        elif path not in files:
            problems.append(_extra(folder, path))
        elif hashes[path] != files[path]:
            problems.append(
                f"{shown} was changed since it was registered: put it back from a backup"
            )
    return tuple(problems)


def told(problems: tuple[str, ...]) -> str:
    """The first problems in one sentence, and how many more there are."""
    more = len(problems) - _TOLD
    return "; ".join(problems[:_TOLD]) + (f"; and {more} more" if more > 0 else "")


def copy_whole(content: str, folder: Path, target: Path) -> None:
    """Copy a folder that is whole into a new one, where nobody else writes, and check the copy.

    What is loaded from ``target`` are the bytes that were checked, whatever becomes of ``folder``.

    Raises:
        DamagedVersionError: a file was changed, added or removed.
    """
    _require_whole(content, folder)
    for path in json.loads(content):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(folder / path, place)
        except OSError as error:
            raise DamagedVersionError(f"{_shown(folder / path)} cannot be read: {error}") from error
    _require_whole(content, target)


def _require_whole(content: str, folder: Path) -> None:
    problems = damage(content, folder)
    if problems:
        raise DamagedVersionError(told(problems))


def _hashes(folder: Path, part: str = "") -> tuple[dict[str, str], list[str]]:
    """Relative path to SHA-256 of each plain file; and everything else, in words."""
    hashes: dict[str, str] = {}
    problems: list[str] = []
    for root, folders, names in os.walk(folder):
        if part and Path(root) == folder:
            folders[:], names = [part], []
        for name in sorted([*folders, *names]):
            path = Path(root, name)
            try:
                mode = path.lstat().st_mode
                if stat.S_ISREG(mode) and not _is_note(path, folder):
                    with path.open("rb") as file:
                        digest = hashlib.file_digest(file, "sha256").hexdigest()
                    hashes[path.relative_to(folder).as_posix()] = digest
                elif not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                    problems.append(f"{_shown(path)} is a link or a special file: remove it")
            except OSError as error:
                problems.append(f"{_shown(path)} cannot be read ({error.strerror})")
    return hashes, problems


def _is_note(path: Path, folder: Path) -> bool:
    return (
        path == folder / _LOADED_AS
        and path.stat().st_size < _NOTE_LENGTH
        and _NOTE_FORM.fullmatch(path.read_bytes()) is not None
    )


def _extra(folder: Path, path: str) -> str:
    shown = f"{_shown(folder / path)} was not registered with it: remove it"
    if _CACHE not in path.split("/"):
        return shown
    return (
        f"{shown}, and set PYTHONDONTWRITEBYTECODE=1 for whatever loads the version where it lies: "
        "nobody can vouch for what Python keeps there"
    )


def _shown(path: Path) -> str:
    """A path as a message may show it: a name that somebody else chose can hold anything."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
