"""Libraries in an environment of their own, whose pins or Python are not ours."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_PEERS = Path(__file__).parent / ".peers"
_ROOT = Path(__file__).parents[1]
_ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class PeerEnvironment:
    """One of them.

    Attributes:
        name: of its folder in ``benchmarks/.peers``.
        target: of make, which installs it.
    """

    name: str
    target: str

    @property
    def missing(self) -> str:
        """What is told where it is not there."""
        return f"not run: 'make {self.target}' installs the peers"

    @property
    def installed(self) -> bool:
        """Whether it is there."""
        return self._python.exists()

    @property
    def packages(self) -> Path:
        """The folder of what is installed in it."""
        return next((_PEERS / self.name).glob("lib/python*/site-packages"))

    @property
    def _python(self) -> Path:
        return _PEERS / self.name / "bin" / "python"

    def measured(self, script: Path, **arrays: Any) -> Any:
        """The JSON that a script prints last, given arrays in a file; one thread.

        The script may import from ``benchmarks`` what needs its own environment alone.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "given.npz"
            np.savez(file, **arrays)
            done = subprocess.run(
                [self._python, script, file],
                env={**os.environ, **_ALONE, "PYTHONPATH": str(_ROOT)},
                check=True,
                capture_output=True,
                text=True,
            )
        return json.loads(done.stdout.splitlines()[-1])
