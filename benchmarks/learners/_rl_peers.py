"""Libraries of reinforcement learning in an environment of their own: their pins are not ours."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

_HERE = Path(__file__).parent
# Made by 'make bench-rl'.
_PYTHON = _HERE.parent / ".peers" / "rl" / "bin" / "python"
MISSING = "not run: 'make bench-rl' installs the peers"


def installed() -> bool:
    """Whether the environment is there."""
    return _PYTHON.exists()


def measured(script: str, **arrays: Any) -> Any:
    """The JSON that a script of this folder prints last, given arrays in a file; one thread."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "given.npz"
        np.savez(file, **arrays)
        done = subprocess.run(
            [_PYTHON, _HERE / script, file],
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
            text=True,
        )
    return json.loads(done.stdout.splitlines()[-1])
