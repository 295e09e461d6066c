"""Where everything lies in the workspace folder."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

# Which of the workspace's folders a stage's output lies in.
StagePlace = Literal["lake", "run", "open"]


@dataclass(frozen=True)
class Workspace:
    """The folder that holds the lake, the embedding store, one folder a run, and the registry."""

    root: Path

    @property
    def lake(self) -> Path:
        """``lake/<night>/<stage>``: what depends on the data alone."""
        return self.root / "lake"

    @property
    def open_nights(self) -> Path:
        """``open/<night>/ingest``: what has arrived of nights that are not over."""
        return self.root / "open"

    @property
    def runs(self) -> Path:
        """``runs/<run key>/<stage>``: what depends on the settings too."""
        return self.root / "runs"

    @property
    def embeddings(self) -> Path:
        """The content-addressed embedding store."""
        return self.root / "embeddings"

    @property
    def registry(self) -> Path:
        """MLflow's database and artifacts, and the ledger."""
        return self.root / "registry"

    @property
    def published(self) -> Path:
        """``published/<night>``: the recommendations."""
        return self.root / "published"

    @property
    def locks(self) -> Path:
        """Leases of nights."""
        return self.root / "locks"

    @property
    def upgrades(self) -> Path:
        """Lists of outputs of earlier code that upgrades kept; the ledger names each."""
        return self.root / "upgrades"

    @property
    def privacy(self) -> Path:
        """Who was forgotten, as salted hashes, and what came of it."""
        return self.root / "privacy"

    @property
    def errors(self) -> Path:
        """Tracebacks of commands that failed for a reason that nobody foresaw."""
        return self.root / "errors"

    @property
    def airflow(self) -> Path:
        """Airflow's home in the demonstration."""
        return self.root / "airflow"

    @property
    def summary(self) -> Path:
        """The table of nights, as JSON."""
        return self.root / "summary.json"

    def lake_stage(self, night: str, stage: str) -> Path:
        """Folder of a data stage's output."""
        return self.lake / night / stage

    def run_stage(self, run_key: str, stage: str) -> Path:
        """Folder of a run stage's output."""
        return self.runs / run_key / stage

    def nights(self) -> list[str]:
        """Nights that have been ingested or tried, oldest first; other folders are not ours."""
        return nights_in(self.lake)


def nights_in(folder: Path) -> list[str]:
    """Nights that have a folder there, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if is_night(p.name) and p.is_dir())


def is_night(name: str) -> bool:
    """Whether a name is an ISO date, as those of a night's folders are."""
    try:
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove(path: Path) -> None:
    """Remove a file or a folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
