"""The registry of a deployment, as its settings place it."""

from __future__ import annotations

from datetime import UTC, datetime

from mrlm.promotion.record.ledger import champion_stack
from mrlm.promotion.registry.place import RegistryPlace
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import MissingInputError
from pipelines.settings.model import Settings

AUTOMATIC = "promotion rule"


def place_of(settings: Settings, workspace: Workspace) -> RegistryPlace:
    """Where the registry lies."""
    registry = settings.registry
    return RegistryPlace(
        folder=workspace.registry.resolve(),
        model=registry.model,
        experiment=registry.experiment,
        tracking_uri=registry.tracking_uri,
    )


def champion_version(place: RegistryPlace) -> int | None:
    """Version that the ledger's last decision made champion; None before the first.

    The ledger and not the alias: an alias that was moved by hand is nobody's decision.
    """
    stack = champion_stack(place.ledger.entries())
    return stack[-1] if stack else None


def require_champion(place: RegistryPlace, night: str) -> int:
    """Version of the champion.

    Raises:
        MissingInputError: there is none yet.
    """
    version = champion_version(place)
    if version is None:
        raise MissingInputError(
            f"there is no champion yet: run 'mrlm bootstrap --night {night}', which registers a "
            "clone of the logger as the first one"
        )
    return version


def now() -> str:
    """The time for a ledger entry, ISO, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
