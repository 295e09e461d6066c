"""What is left of an error that nobody foresaw: its traceback, in a file that the message names."""

from __future__ import annotations

import os
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from pipelines.contract.workspace import Workspace
from pipelines.settings.load import last_loaded


def crash_report(error: BaseException, arguments: list[str]) -> str:
    """Keep the traceback and say in one sentence what happened and where it is.

    It lies in the workspace, else, where that is not known or cannot be written, among the
    machine's temporary files.
    """
    # Whom somebody wants to be forgotten must not be kept by the attempt.
    told = ["forget", "USER", "..."] if arguments[:1] == ["forget"] else arguments
    text = f"mrlm {' '.join(told)}\n\n{''.join(traceback.format_exception(error))}"
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}-{os.getpid()}.txt"
    settings = last_loaded()
    folders = [Workspace(settings.workspace).errors] if settings else []
    where = "could not be written anywhere"
    for folder in [*folders, Path(tempfile.gettempdir())]:
        path = folder / (name if folder in folders else f"mrlm-error-{name}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Names and values of the data may be in it.
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
                f.write(text)
        except OSError:
            continue
        where = f"is in {path}"
        break
    said = " ".join(str(error).split())[:300]
    kind = type(error).__name__
    return (
        f"the program failed, and should not have: {kind}{': ' if said else ''}{said}. The "
        f"traceback {where}; please report it. The same command would fail again"
    )
