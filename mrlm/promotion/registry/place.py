"""Where a registry lives, and the one lock around it."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from mrlm.promotion.record.ledger import Ledger
from mrlm.promotion.registry.marks import RegistryMarks
from mrlm.promotion.registry.relocation import follow_move


class RegistryBusyError(TimeoutError):
    """Somebody else holds the registry's lock."""


@dataclass(frozen=True)
class RegistryPlace:
    """One registry.

    Attributes:
        folder: absolute; ledger and lock, and by default the MLflow store and its artifacts.
        model: name of the registered model.
        experiment: name of the MLflow experiment.
        tracking_uri: of MLflow; None: SQLite in ``folder``.

    Raises:
        ValueError: the folder is not absolute.

    Examples:
        >>> from pathlib import Path
        >>> from mrlm import RegistryPlace
        >>> RegistryPlace(Path("/srv/mrlm/workspace/registry")).uri
        'sqlite:////srv/mrlm/workspace/registry/mlflow.db'
    """

    folder: Path
    model: str = "recommender"
    experiment: str = "nightly"
    tracking_uri: str | None = None

    def __post_init__(self) -> None:
        # MLflow resolves relative paths against the working folder, which Airflow moves.
        if not self.folder.is_absolute():
            raise ValueError(f"the registry's folder must be an absolute path, not {self.folder}")

    @property
    def uri(self) -> str:
        """Tracking and registry URI."""
        return self.tracking_uri or f"sqlite:///{quote(str(self._database))}"

    @property
    def artifact_location(self) -> str | None:
        """Where artifacts go; None leaves it to a tracking server that was named."""
        return None if self.tracking_uri else self._artifacts.as_uri()

    @property
    def exists(self) -> bool:
        """Whether there may be a store: looking into a registry must not create one."""
        return self.tracking_uri is not None or self._database.is_file()

    @property
    def _database(self) -> Path:
        return self.folder / "mlflow.db"

    @property
    def _artifacts(self) -> Path:
        return self.folder / "artifacts"

    @property
    def ledger(self) -> Ledger:
        """Who decided what, with its end marked in this registry's database."""
        return Ledger(self.folder / "ledger.jsonl", RegistryMarks(self))

    def registered_model(self) -> Any:
        """MLflow's ``RegisteredModel``, with its tags and aliases; None where there is none."""
        if not self.exists:
            return None
        client = self.client()
        from mlflow.exceptions import MlflowException

        try:
            return client.get_registered_model(self.model)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def client(self) -> Any:
        """An ``MlflowClient`` of this registry, telemetry off; creates the store if need be."""
        quiet_mlflow()
        import mlflow

        self.folder.mkdir(parents=True, exist_ok=True)
        self.follow_move()
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        return mlflow.MlflowClient(self.uri, self.uri)

    def follow_move(self) -> None:
        """Make the store in ``folder`` name its artifacts where they lie now; see relocation.

        Raises:
            ValueError: it cannot be read, or was moved and must not be written.
            TimeoutError: other processes keep it locked.
        """
        if self.tracking_uri is None:
            follow_move(self._database, self._artifacts)

    @contextmanager
    def locked(self, actor: str, seconds: float = 600.0) -> Iterator[None]:
        """Hold the registry's lock; it falls with the process that holds it.

        Raises:
            RegistryBusyError: it was not free within ``seconds``; the message says who has it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "registry.lock")
        holder = self.folder / "registry.holder.json"
        try:
            lock.acquire(timeout=seconds)
        except Timeout as error:
            who = holder.read_text(errors="replace") if holder.exists() else "an unknown process"
            raise RegistryBusyError(
                f"the registry {self.folder} is locked by {who}; try again when it is done"
            ) from error
        try:
            about = {"actor": actor, "pid": os.getpid(), "host": socket.gethostname()}
            holder.write_text(json.dumps(about))
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()


def quiet_mlflow() -> None:
    """Switch MLflow's telemetry, bars and chatter off; it reads this when it is imported."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    # It prints every error of the database with its traceback, and then raises it.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
