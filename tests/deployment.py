"""A tiny deployment with renamed columns: a folder with raw logs and settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.contract.context import NightContext
from pipelines.contract.workspace import Workspace
from pipelines.local.warm_client import SOCKET_VARIABLE, Running, start
from pipelines.settings.load import load_settings

ROOT = Path(__file__).resolve().parents[1]
NIGHTS = [f"2026-11-{d:02d}" for d in range(9, 16)]

RENAMED = {
    "impressions": {
        "request_id": "rid",
        "ts": "shown_at",
        "user_id": "customer",
        "propensity": "p",
        "candidates": "pool",
        "candidate_propensities": "pool_p",
    },
    "feedback": {"event": "kind", "value": "amount", "ts": "at"},
    "items": {"item_id": "sku", "attributes": "numbers"},
}

SETTINGS = """
workspace = "workspace"
truth_path = "raw/truth/dt={night}.parquet"

[inputs]
text_fields = ["text"]

[inputs.impressions]
path = "raw/impressions/dt={night}"
columns = {request_id = "rid", ts = "shown_at", user_id = "customer", propensity = "p", \
candidates = "pool", candidate_propensities = "pool_p"}

[inputs.feedback]
path = "raw/feedback/dt={night}"
columns = {event = "kind", value = "amount", ts = "at"}

[inputs.items]
path = "raw/items/dt={night}"
columns = {item_id = "sku", attributes = "numbers"}

[state]
history_objective = "like"
history_length = 20

[validation]
# The dirt is stated in rows, and the log is tiny.
unknown_item_share = 0.05

[embedding]
encoder = "hashing"
dimensions = 64

[behaviour]
epochs = 2
folds = 2

[learning]
epochs = 1

[tuning]
# Hardly any proof is asked for, so that the challenger of so few decisions is another policy than
# the champion, and is tested.
confidence = 0.001
head_confidence = 0.501

[split]
tune_nights = 1
gate_nights = 1

[gate]
min_effective_sample_size = 50
min_users = 10
min_nonzero = 10

[[objectives]]
name = "delight"
source = "feedback"
role = "north_star"
event = "delight"
window_nights = 1

[[objectives]]
name = "like"
source = "feedback"
event = "rating"
transform = "at_least"
threshold = 4.0

[[objectives]]
name = "relative_rating"
source = "feedback"
event = "relative_rating"

[[objectives]]
name = "diversity"
source = "list"
"""


@dataclass(frozen=True)
class Deployment:
    """A folder with raw logs and settings, and how to run commands on it."""

    folder: Path
    world: dict[str, Any]

    @property
    def settings_path(self) -> Path:
        return self.folder / "mrlm.toml"

    def context(self, night: str) -> NightContext:
        settings = load_settings(self.settings_path)
        return NightContext(night, settings, Workspace(settings.workspace))

    def times(self) -> dict[str, tuple[int, int, int]]:
        """When every file was last read and written, and its size."""
        about = {p: p.stat() for p in self.folder.rglob("*") if p.is_file()}
        return {
            str(p.relative_to(self.folder)): (s.st_atime_ns, s.st_mtime_ns, s.st_size)
            for p, s in about.items()
        }

    def command(self, *arguments: str) -> list[str]:
        tail = ["--settings", str(self.settings_path)]
        return [sys.executable, "-m", "pipelines.cli", *arguments, *tail]

    def start(self, *arguments: str) -> Running:
        """A command that runs, in a fork of the warm parent."""
        environment = {**os.environ, SOCKET_VARIABLE: str(_warm_parent()[0])}
        # It names the test that runs, and a Java is kept for who has the same environment.
        environment.pop("PYTEST_CURRENT_TEST", None)
        return start(self.command(*arguments), ROOT, environment)

    def run(self, *arguments: str, code: int = 0) -> str:
        """What a command prints, which ends with ``code``."""
        running = self.start(*arguments)
        try:
            printed = "".join(running.lines())
            assert running.wait() == code, printed[-3000:]
        finally:
            running.end()
        return printed


@cache
def _warm_parent() -> tuple[Path, subprocess.Popen[bytes]]:
    """The socket of a warm parent that has imported everything, and its process."""
    # Pytest's own folders may be too deep for a socket.
    folder = Path(tempfile.mkdtemp(prefix="mrlm-"))
    server = ["-m", "pipelines.local.warm", str(folder / "warm.sock"), "pipelines.cli"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", *server], cwd=ROOT, stdout=log, stderr=log
        )
    # A command that came earlier would start a process of its own, and a Java for itself alone.
    while not (folder / "warm.sock").exists():
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.1)
    return folder / "warm.sock", process


def end_warm_parent() -> None:
    """End it, if a command ever wanted it."""
    if _warm_parent.cache_info().currsize:
        path, process = _warm_parent()
        process.terminate()
        process.wait()
        shutil.rmtree(path.parent)


def rename_columns(raw: Path) -> None:
    """Give the columns of a written log the names that ``SETTINGS`` map."""
    for table in RENAMED:
        for path in sorted((raw / table).rglob("*.jsonl")):
            lines = path.read_text().splitlines()
            path.write_text("".join(f"{renamed(table, line)}\n" for line in lines))


def renamed(table: str, line: str) -> str:
    try:
        row = json.loads(line)
    except ValueError:
        return line
    names = RENAMED[table]
    return json.dumps({names.get(k, k): v for k, v in row.items()})
