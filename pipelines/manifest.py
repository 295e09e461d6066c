"""The manifest that makes a stage's output exist: readers trust nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.workspace import write_atomically

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
        code_version: hash of the packages' sources.
        outputs: name to output.
        counts: what the stage says of its work, plain data.
        stopped: why the night stops here; empty when it goes on.
        seconds: wall time.
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

    def write(self, folder: Path) -> None:
        """Write into the stage's folder, atomically; the last act of a stage."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True)
        write_atomically(folder / FILE_NAME, text)

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest of a stage's folder, or None where the stage has not been completed."""
        path = folder / FILE_NAME
        if not path.is_file():
            return None
        data = json.loads(path.read_text())
        data["outputs"] = {k: Output(**v) for k, v in data["outputs"].items()}
        return cls(**data)

    def output_fingerprint(self) -> str:
        """One fingerprint of all outputs."""
        from pipelines.fingerprints import combine

        return combine({name: o.fingerprint for name, o in self.outputs.items()})
