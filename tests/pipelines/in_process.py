"""The program run in this process, or often in one other, for tests that call it often."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from benchmarks.ope._subprocesses import peak_gib
from pipelines.cli import main
from tests.deployment import ROOT

# Another distribution has a package of the name tests: this one is found by its path.
_PROGRAM = """
import importlib, json, sys, types
root, module, name, arguments = sys.argv[1:]
sys.modules["tests"] = types.ModuleType("tests")
sys.modules["tests"].__path__ = [root + "/tests"]
print(json.dumps(getattr(importlib.import_module(module), name)(*json.loads(arguments))))
"""


@dataclass(frozen=True)
class Done:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


def mrlm(*arguments: str) -> Done:
    """The outcome of a command; whatever is not an exit is raised, as a user would see it."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["mrlm", *arguments]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Done(code, out.getvalue(), err.getvalue())


def in_a_process(
    function: Callable[..., Any], *arguments: Any, seconds: float | None = None
) -> Any:
    """What a function of a test module returns in a new process, all of it plain values."""
    command = [sys.executable, "-c", _PROGRAM, str(ROOT), function.__module__, function.__name__]
    done = subprocess.run(
        [*command, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=seconds,
    )
    return json.loads(done.stdout)


def outcomes(commands: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Code and messages of each command, and the peak memory of them all."""
    found = [mrlm(*arguments) for arguments in commands]
    return {"ends": [[d.code, d.err] for d in found], "peak_gib": round(peak_gib(), 3)}
