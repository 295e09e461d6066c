"""What a long benchmark has finished, a line each in a file: a run that is killed goes on."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipelines.contract.imports import PACKAGES, Sources

_ROOT = Path(__file__).resolve().parents[1]
_sources = Sources(_ROOT, (*PACKAGES, "benchmarks"))


def code_of(part: str) -> str:
    """Fingerprint of all code that a part of a room runs, given its module's name."""
    digest = hashlib.sha256()
    for module in (part, *_shared(part.rpartition(".")[0])):
        for name, text in _sources.of(module).items():
            digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()[:16]


def _shared(room: str) -> list[str]:
    """Modules of a room that are no parts: peers' own Python runs some, which nobody imports."""
    root = _ROOT.joinpath(*room.split("."))
    found = sorted({*root.glob("_[a-z]*.py"), *root.glob("_[a-z]*/[a-z]*.py")})
    return [".".join(p.relative_to(_ROOT).with_suffix("").parts) for p in found]


class Kept:
    """Results by key, of one version of the code that they came from.

    Args:
        variable: environment variable that names the file.
        name: of the file in the temporary folder, where the variable is not set.
        code: fingerprint of the code; results of another one are not used.
    """

    def __init__(self, variable: str, name: str, code: str) -> None:
        self._path = Path(os.environ.get(variable, Path(tempfile.gettempdir()) / name))
        self._code = code
        self._found: dict[str, Any] = {}
        for line in self._path.read_text().splitlines() if self._path.exists() else ():
            try:
                of, key, result = json.loads(line)
            except ValueError:
                # Empty, or the last of a run that was killed while it wrote.
                continue
            if of == code:
                self._found[json.dumps(key)] = result

    def of(self, key: Sequence[str | int], measure: Callable[[], Any]) -> Any:
        """The result of ``key``; measured and written where it is not there."""
        name = json.dumps(list(key))
        if name not in self._found:
            result = measure()
            with self._path.open("a") as file:
                # The line before may have no end.
                file.write("\n" + json.dumps([self._code, list(key), result]))
            self._found[name] = result
        return self._found[name]
