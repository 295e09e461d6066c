"""Upgrade: bring what earlier releases left in a workspace to what this one keeps."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.options import SettingsOption
from pipelines.commands.terminal import say
from pipelines.contract.deployment import now, place_of
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.settings.load import load_settings


def add_commands(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("upgrade")(upgrade)


def upgrade(
    actor: Annotated[
        str, typer.Option(help="Who vouches for the workspace as it is; goes into the ledger.")
    ],
    settings: SettingsOption = None,
) -> None:
    """Mark the ledger's end, and hash the files of older versions, once they reproduce."""
    from mrlm.promotion.moves.adopt import adopt_ledger
    from mrlm.promotion.moves.upgrade import upgrade as bring_up

    loaded = load_settings(settings)
    place = place_of(loaded, Workspace(loaded.workspace))
    adopted = adopt_ledger(place, actor=actor, at=now(), seconds=loaded.gate.lock_seconds)
    if adopted is not None:
        say(adopted.reason)
    left = []
    for version in bring_up(place, loaded.gate, actor=actor, at=now()):
        say(
            f"version {version.version}: "
            + ("hashes written; " if version.hashed else "left without hashes; ")
            + version.found
        )
        if not version.hashed:
            left.append(version.version)
    if left:
        raise DataError(
            f"versions {left} have no hashes and cannot be promoted or rolled back to: mend what "
            "is said above and repeat the command"
        )
    say("the ledger's end is marked, and every version has hashes of its files")
