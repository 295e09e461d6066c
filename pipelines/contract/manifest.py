"""The manifest that makes a stage's output exist: readers trust nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipelines.contract.sealed import read_sealed, write_sealed

FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class Output:
    """One output of a stage.

    Attributes:
        path: relative to the stage's folder.
        fingerprint: of its content.
    """

    path: str
    fingerprint: str


@dataclass(frozen=True)
class Manifest:
    """What a stage read and what it made.

    Attributes:
        stage: its name.
        night: the night, an ISO date.
        run_key: of the run; empty for stages that depend on the data alone.
        fingerprint: of inputs, settings and code together; equal means nothing to do.
        inputs: name to fingerprint.
        settings_fingerprint: of the sections that the stage reads.
        code_version: hash of the sources that the stage imports.
        outputs: name to output.
        counts: what the stage says of its work, plain data.
        stopped: why the night stops here; empty when it goes on.
        seconds: wall time.
        files: checksum of every file that the stage wrote, by its path in the folder; None where
            the version that wrote the manifest made none.
        form: the stage's ``form`` then; 0 where the version that wrote the manifest had none.
        erased: output to the fingerprint that it has since people were forgotten. Later stages go
            by that of ``outputs``, which says what they were made from.
    """

    stage: str
    night: str
    run_key: str
    fingerprint: str
    inputs: dict[str, str]
    settings_fingerprint: str
    code_version: str
    outputs: dict[str, Output]
    counts: dict[str, Any]
    stopped: str
    seconds: float
    files: dict[str, str] | None = None
    form: int = 0
    erased: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write into the stage's folder, atomically; the last act of a stage."""
        write_sealed(folder / FILE_NAME, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest of a stage's folder, or None where the stage has not been completed.

        Raises:
            DamagedError: it is not as it was written; names the file.
        """
        path = folder / FILE_NAME
        remedy = f"Run stage {folder.name} of {folder.parent.name} again, which makes it anew"
        try:
            return read_sealed(path, cls._from_json, remedy)
        except (FileNotFoundError, NotADirectoryError):
            return None

    @classmethod
    def _from_json(cls, data: dict[str, Any]) -> Manifest:
        outputs = {k: Output(**v) for k, v in data["outputs"].items()}
        return cls(**{**data, "outputs": outputs})

    def fingerprint_of_now(self, output: str) -> str:
        """That of an output as it lies there, also since people were forgotten."""
        return self.erased.get(output, self.outputs[output].fingerprint)

    def output_fingerprint(self) -> str:
        """One fingerprint of all outputs."""
        from pipelines.contract.fingerprints import of_json

        return of_json({name: o.fingerprint for name, o in self.outputs.items()})
