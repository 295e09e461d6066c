"""Commands on copies of one registry, in this process or in ones that die at a chosen write."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import runpy
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import mlflow

import pipelines.cli
from tests.deployment import SETTINGS
from tests.promotion.copies import copy_registry

MODEL = "recommender"
Form = Literal["before", "half", "after"]


@dataclass(frozen=True)
class Death:
    """At which write a process kills itself.

    Attributes:
        label: the write's label must contain it.
        count: 1: the first such write.
        form: before it, after it, or with half of the bytes written.
    """

    label: str = ""
    count: int = 1
    form: Form = "after"


@dataclass(frozen=True)
class Registry:
    """A deployment that is only a registry and settings, and commands on it."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "registry"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ledger.read_bytes().splitlines()]

    def moves(self) -> list[tuple[str, int]]:
        kinds = ("initial", "promoted", "rolled_back")
        return [(e["kind"], e["version"]) for e in self.lines() if e["kind"] in kinds]

    def client(self) -> mlflow.MlflowClient:
        uri = f"sqlite:///{self.folder / 'mlflow.db'}"
        return mlflow.MlflowClient(uri, uri)

    def aliases(self) -> dict[str, int]:
        found = self.client().get_registered_model(MODEL).aliases
        return {a: int(v) for a, v in found.items() if a != "challenger"}

    def tags(self) -> dict[str, str]:
        return dict(self.client().get_registered_model(MODEL).tags)

    def model_folder(self, version: int) -> Path:
        uri = self.client().get_model_version_download_uri(MODEL, str(version))
        return Path(uri.removeprefix("file://"))

    def copy(self, root: Path) -> Registry:
        made = Registry(root)
        copy_registry(self.folder, made.folder)
        made.write_settings()
        return made

    def write_settings(self) -> None:
        text = SETTINGS.replace('workspace = "workspace"', f"workspace = '{self.root}'")
        (self.root / "mrlm.toml").write_text(text)

    def argv(self, *arguments: str) -> list[str]:
        return ["mrlm", *arguments, "--settings", str(self.root / "mrlm.toml")]

    def run(self, *arguments: str) -> tuple[int, str]:
        """A command in this process: its exit code, and all that it printed."""
        printed = io.StringIO()
        with _replaced(sys, "argv", self.argv(*arguments)), _captured(printed):
            try:
                pipelines.cli.main()
            except SystemExit as end:
                return int(end.code or 0), printed.getvalue()
        raise AssertionError("a command ends with an exit code")

    def start(self, *arguments: str, death: Death | None = None, log: str = "") -> BaseProcess:
        """The command in a process of its own; ``log``: a file for the labels of its writes."""
        given = {
            "argv": self.argv(*arguments),
            "registry": str(self.folder),
            "death": None if death is None else asdict(death),
            "log": log and str(self.root / log),
        }
        process = _CONTEXT.Process(
            target=runpy.run_path,
            args=(_CHILD, {"GIVEN": given}, "a command"),
        )
        process.start()
        return process

    def killed(self, *arguments: str, death: Death) -> None:
        process = self.start(*arguments, death=death)
        process.join(120)
        assert process.exitcode == -signal.SIGKILL, f"it came to no such write: {death}"

    def writes(self, *arguments: str) -> list[str]:
        """Labels of all writes of a command that nobody kills."""
        process = self.start(*arguments, log="writes")
        process.join(120)
        assert process.exitcode == 0
        return (self.root / "writes").read_text().splitlines()


_CONTEXT = multiprocessing.get_context("forkserver")
# Forked from a process that has imported what takes long. The child's side is found by its path:
# an installed package may bring a module "tests".
_CONTEXT.set_forkserver_preload(
    ["pytest", "mlflow.store.model_registry.sqlalchemy_store", "pipelines.cli"]
)
_CHILD = str(Path(__file__).with_name("dying_command.py"))


@contextmanager
def _replaced(where: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(where, name)
    setattr(where, name, value)
    try:
        yield
    finally:
        setattr(where, name, before)


@contextmanager
def _captured(into: io.StringIO) -> Iterator[None]:
    # The log keeps the stream that it was made with.
    with _replaced(sys, "stdout", into), _replaced(sys, "stderr", into):
        yield


def canonical(data: object) -> bytes:
    """The text that a ledger line is, written down once more: an enemy can read it off a file."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def rechained(entries: list[dict[str, Any]]) -> bytes:
    """A ledger of these entries whose chain is whole."""
    out, previous = [], "0" * 64
    for number, entry in enumerate(entries):
        data = {**entry, "sequence": number, "previous": previous}
        data.pop("hash", None)
        previous = hashlib.sha256(canonical(data)).hexdigest()
        out.append(canonical({**data, "hash": previous}) + b"\n")
    return b"".join(out)
