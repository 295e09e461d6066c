"""The files of a version: where they are, and whether they are those that were registered."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from mrlm.evidence.evidence import Evidence, evidence_fingerprint
from mrlm.promotion.registry.integrity import (
    CONTENT,
    DamagedVersionError,
    NoHashesError,
    damage,
    told,
)
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.versions import RegisteredVersion, registered_version

# In the folder of a version's MLflow model.
_EVIDENCE = Path("artifacts/evidence.json")


def version_folder(place: RegistryPlace, version: int) -> Path:
    """Folder with the version's MLflow model, its artifacts as registered; fetched where remote.

    Nothing is read from them before they agree with the hashes that the registry keeps. Of a
    version without hashes only the evidence can be told.

    Raises:
        ValueError: the registry has no such version.
        DamagedVersionError: an artifact was changed, added or removed.
    """
    registered = registered_version(place, version)
    folder = stored_folder(place, registered)
    problems = _damage(registered, folder, "artifacts")
    if problems:
        raise DamagedVersionError(f"version {version} is damaged: {told(problems)}")
    return folder


def version_content(registered: RegisteredVersion) -> str:
    """The hashes of a version's files, without which nothing is decided on it.

    Raises:
        NoHashesError: it was registered before hashes were kept.
    """
    content = registered.tags.get(CONTENT)
    if content is None:
        raise NoHashesError(
            f"version {registered.version} has no hashes of its files, so nobody can tell whether "
            "they are those that were registered: run 'mrlm upgrade --actor YOU', which first "
            "reproduces it"
        )
    return content


def damage_of(place: RegistryPlace, registered: RegisteredVersion) -> tuple[str, ...]:
    """How all files of a version differ from those registered, in words; nothing when whole.

    Of a version that is kept elsewhere, the files there, and not a copy of before.
    """
    if place.tracking_uri is None:
        return _damage(registered, stored_folder(place, registered))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "version"
        try:
            _download(place, registered, folder)
        except OSError as error:
            return (f"its files cannot be fetched: {error}",)
        return _damage(registered, folder)


def version_evidence(folder: Path) -> Evidence | None:
    """The evidence that was registered with the version in ``folder``; None: it came without."""
    path = folder / _EVIDENCE
    return Evidence.from_json(json.loads(path.read_text())) if path.is_file() else None


def stored_folder(place: RegistryPlace, registered: RegisteredVersion) -> Path:
    """Where a version's files are, unchecked; of one that is kept elsewhere a copy.

    The database says where they are: a link in the workspace could be pointed elsewhere.
    """
    if place.tracking_uri is None:
        uri = place.client().get_model_version_download_uri(place.model, str(registered.version))
        return local_path(uri)
    target = place.folder / "fetched" / str(registered.version)
    if target.is_dir() and not target.is_symlink() and not _damage(registered, target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # A killed attempt leaves something of another name, never half a version.
    staging = Path(tempfile.mkdtemp(dir=target.parent))
    _download(place, registered, staging / "whole")
    if target.is_symlink() or target.exists():
        target.replace(staging / "damaged")
    (staging / "whole").replace(target)
    shutil.rmtree(staging)
    return target


def _download(place: RegistryPlace, registered: RegisteredVersion, target: Path) -> None:
    place.client()
    import mlflow

    target.mkdir()
    uri = f"models:/{place.model}/{registered.version}"
    mlflow.artifacts.download_artifacts(uri, dst_path=str(target), tracking_uri=place.uri)


def local_path(uri: str) -> Path:
    """The path of a URI that names a file of this machine."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(uri))


def _damage(registered: RegisteredVersion, folder: Path, part: str = "") -> tuple[str, ...]:
    content = registered.tags.get(CONTENT)
    if content is not None:
        return damage(content, folder, part)
    evidence, path = registered.tags.get("mrlm.evidence"), folder / _EVIDENCE
    if not folder.is_dir():
        return (f"its folder {folder} is missing: put it back from a backup",)
    if evidence is not None and not path.is_file():
        return (f"{path} is missing: put it back from a backup",)
    if evidence is not None and _fingerprint(path) != evidence:
        return (f"{path} is not the evidence that was registered: put it back from a backup",)
    return ()


def _fingerprint(evidence: Path) -> str:
    try:
        return evidence_fingerprint(json.loads(evidence.read_text()))
    except (ValueError, RecursionError):
        return ""
