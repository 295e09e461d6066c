"""Commands that try what one hopes never to need."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.options import SettingsOption
from pipelines.commands.terminal import say
from pipelines.contract.deployment import now, place_of
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.settings.load import load_settings

_drill = typer.Typer(help="Try what one hopes never to need, on a copy.", no_args_is_help=True)


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    _drill.callback()(_several)
    _drill.command("rollback")(rollback)
    app.add_typer(_drill, name="drill")


def _several() -> None:
    """Typer shows a command that is alone without its name, and there will be more."""


def rollback(
    to: Annotated[int | None, typer.Option(help="Version; default the one before.")] = None,
    settings: SettingsOption = None,
) -> None:
    """Roll a copy of the registry back: the version before must load and give its probabilities."""
    from mrlm.promotion.moves.drill import drill_rollback

    loaded = load_settings(settings)
    place = place_of(loaded, Workspace(loaded.workspace))
    try:
        found = drill_rollback(place, loaded.gate, at=now(), to=to)
    except ValueError as error:
        raise DataError(f"the drill failed: {error}") from error
    say(
        f"a copy of the registry went back from version {found.left} to {found.reached} in "
        f"{found.seconds:.1f} s: it loads in a fresh process and gives the probabilities that it "
        "was judged by. Nothing of the registry itself was moved"
    )
