"""The ledger's mark, as a tag of the registered model in the registry's database."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from mrlm.evidence.canonical import canonical_json
from mrlm.promotion.record.ledger import LedgerError, LedgerUnmarkedError, Mark

_TAG = "mrlm.ledger"


class MarkedRegistry(Protocol):
    """What a mark needs of a registry: its folder, its model, and a client of its database."""

    @property
    def folder(self) -> Path:
        """Where the ledger lies."""
        ...

    @property
    def model(self) -> str:
        """Name of the registered model."""
        ...

    def registered_model(self) -> Any:
        """MLflow's ``RegisteredModel``; None where there is none."""
        ...

    def client(self) -> Any:
        """An ``MlflowClient``."""
        ...


class RegistryMarks:
    """Reads and writes the mark; a registered model has one from its creation on."""

    def __init__(self, place: MarkedRegistry) -> None:
        self.place = place

    def read(self) -> Mark | None:
        """The mark; None: the registry has no such model.

        Raises:
            LedgerUnmarkedError: the model was made before ledgers were marked.
            LedgerError: the tag holds no mark.
        """
        model = self.place.registered_model()
        if model is None:
            return None
        value = model.tags.get(_TAG)
        if value is None:
            raise LedgerUnmarkedError(
                f"the registry's database has no mark of where {self.place.folder / 'ledger.jsonl'}"
                " ends, since it is older than these marks: run 'mrlm upgrade --actor YOU' once"
            )
        try:
            return Mark(**json.loads(value))
        except (TypeError, ValueError) as error:
            raise LedgerError(
                f"the registered model {self.place.model!r} has the tag {_TAG} = {value[:200]!r}, "
                "which is no mark of the ledger: restore the registry's database from a backup"
            ) from error

    def write(self, mark: Mark) -> None:
        """Replace the mark; MLflow commits it before it answers."""
        client = self.place.client()
        client.set_registered_model_tag(self.place.model, _TAG, canonical_json(asdict(mark)))


def create_model(place: MarkedRegistry) -> None:
    """Create the registered model with the mark of a ledger without entries, in one step."""
    place.client().create_registered_model(place.model, tags={_TAG: canonical_json(asdict(Mark()))})
