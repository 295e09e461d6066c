"""The program run in this process, for tests that call it often."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from pipelines.cli import main


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
