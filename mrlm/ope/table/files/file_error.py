"""The error that names a file."""

from __future__ import annotations

from pathlib import Path


class FileError(ValueError):
    """A file, or a folder of files, is not a table that can be evaluated.

    Attributes:
        file: its path.
        problem: what is wrong with it, where, and what to do.
    """

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file = file
        self.problem = problem
