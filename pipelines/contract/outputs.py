"""Reading what a completed stage left: its manifest, and its files once their bytes are checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.contract import checksums, earlier_fingerprints
from pipelines.contract.manifest import Manifest, Output
from pipelines.failures.errors import (
    BusyError,
    DamagedError,
    MissingInputError,
    NightStoppedError,
)


@dataclass(frozen=True)
class StageFolder:
    """Where a stage's output of one night lies, completed or not.

    Attributes:
        folder: of the output.
        stage: its name.
        night: ISO date.
    """

    folder: Path
    stage: str
    night: str

    def manifest(self) -> Manifest | None:
        """The manifest; None while the stage has not been completed.

        Raises:
            DamagedError: it is not as it was written.
        """
        return Manifest.read(self.folder)

    def require(self) -> Manifest:
        """The manifest of a stage that must have been completed.

        Raises:
            MissingInputError: it has not.
            DamagedError: the manifest is not as it was written.
            NightStoppedError: the stage stopped the night.
        """
        manifest = self.manifest()
        if manifest is None:
            raise MissingInputError(
                f"night {self.night}: stage {self.stage} has not been completed; run "
                f"'mrlm stage {self.stage} --night {self.night}' first"
            )
        obey(manifest)
        return manifest

    def output(self, name: str) -> Output:
        """An output of a stage that must have been completed, by name.

        Raises:
            MissingInputError: it has not, or by earlier code, which made no such output.
            DamagedError: the manifest is not as it was written.
            NightStoppedError: the stage stopped the night.
        """
        found = self.require().outputs.get(name)
        if found is None:
            raise MissingInputError(
                f"night {self.night}: stage {self.stage} was completed by earlier code, without "
                f"{name}; run 'mrlm stage {self.stage} --night {self.night}' again"
            )
        return found

    def path(self, place: str) -> Path:
        """Path of one of its files or folders, checked: see ``read_output``."""
        return read_output(self.folder, place)


def obey(manifest: Manifest) -> None:
    """Do nothing, unless the stage stopped the night.

    Raises:
        NightStoppedError: it did.
    """
    if manifest.stopped:
        raise NightStoppedError(manifest.stopped)


def read_output(folder: Path, place: str) -> Path:
    """Path of a file or a folder of a completed stage, its bytes checked against the manifest.

    Where a version without checksums wrote the manifest, outputs are checked by their content.

    Args:
        folder: of the stage.
        place: relative to it.

    Raises:
        MissingInputError: the stage has not been completed.
        DamagedError: a file is missing, was changed or cut short; names it and how to mend it.
        BusyError: the stage is being run again.
    """
    manifest = Manifest.read(folder)
    if manifest is None:
        raise MissingInputError(f"{folder} holds no output of a completed stage")
    wrong = damage(folder, manifest, place)
    if not wrong:
        return folder / place
    if Manifest.read(folder) != manifest:
        raise BusyError(f"{folder} is being made again; wait for it")
    command = f"'mrlm stage {manifest.stage} --night {manifest.night}'"
    of, under = "", ""
    if manifest.run_key:
        of, under = f", run {manifest.run_key}", " under that run's settings"
    raise DamagedError(
        f"{wrong}. It is of stage {manifest.stage} of night {manifest.night}{of}: run {command}"
        f"{under}, which makes it anew"
    )


def damage_of(folder: Path) -> str:
    """What is wrong with a completed stage's files, naming the first; empty when nothing is.

    Raises:
        DamagedError: the manifest itself is not as it was written.
    """
    manifest = Manifest.read(folder)
    return damage(folder, manifest) if manifest else ""


def damage(folder: Path, manifest: Manifest, place: str = "") -> str:
    """What is wrong with the files below ``place``, by this manifest; empty when nothing is."""
    if manifest.files is not None:
        return checksums.damage(folder, manifest.files, place)
    outputs = {o.path: o.fingerprint for o in manifest.outputs.values()}
    return earlier_fingerprints.damage(folder, outputs, place)
