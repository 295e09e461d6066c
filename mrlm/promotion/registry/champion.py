"""The policy that serves now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mrlm.promotion.record.ledger import Entry, LedgerUnmarkedError, champion_stack
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.registry.version_files import version_folder
from mrlm.promotion.serving.bundle import PolicyBundle, load_bundle


@dataclass(frozen=True)
class Champion:
    """The champion: its registry version, its bundle, and the folder of its MLflow model."""

    version: int
    bundle: PolicyBundle
    folder: Path


def champion(place: RegistryPlace, *, seconds: float = 600.0) -> Champion | None:
    """Load what the ledger says is champion; None where there is no champion yet.

    The ledger and not the alias: an alias that was moved by hand is nobody's decision.

    Args:
        place: the registry.
        seconds: longest wait for the lock.

    Raises:
        LedgerError: the ledger is not what commands wrote.
        DamagedVersionError: the champion's files are not those that were registered.
        RegistryBusyError: somebody else holds the lock.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from mrlm import RegistryPlace, champion
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(champion(RegistryPlace(Path(folder).resolve())))
        None
    """
    if not (place.exists or place.ledger.path.exists()):
        return None
    with place.locked("whoever loads the champion", seconds):
        stack = champion_stack(_entries(place))
    if not stack:
        return None
    return champion_of_version(place, stack[-1])


def champion_of_version(place: RegistryPlace, version: int) -> Champion:
    """Load a version that is champion, or was.

    Raises:
        DamagedVersionError: the version's files are not those that were registered.
    """
    folder = version_folder(place, version)
    return Champion(version, load_bundle(folder / "artifacts" / "bundle"), folder)


def _entries(place: RegistryPlace) -> tuple[Entry, ...]:
    try:
        return place.ledger.standing().entries
    except LedgerUnmarkedError:
        # Of an earlier release: nothing is decided on it until it is upgraded, but it serves on.
        return place.ledger.entries()
