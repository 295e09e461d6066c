"""Commands about the anchor, the version that no chain of promotions may fall below."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.care.gate_standing import anchor_lines
from pipelines.commands.approvers import require_approver
from pipelines.commands.options import ActorOption, ReasonOption, SettingsOption
from pipelines.commands.terminal import say, say_lines
from pipelines.contract.deployment import now, place_of
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.running.notify import Event, notify
from pipelines.settings.load import load_settings

_anchor = typer.Typer(help="The version that no chain of promotions may fall below.")


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    _anchor.callback(invoke_without_command=True)(anchor)
    _anchor.command("set")(set_version)
    app.add_typer(_anchor, name="anchor")


def anchor(context: typer.Context, settings: SettingsOption = None) -> None:
    """Show the anchor, who set it, and what the champion has spent of the margins below it."""
    if context.invoked_subcommand is not None:
        return
    loaded = load_settings(settings)
    lines = anchor_lines(place_of(loaded, Workspace(loaded.workspace)), loaded.gate.anchored)
    say_lines("\n".join(lines or ["there is no champion yet: the first one is the first anchor"]))


def set_version(
    version: Annotated[int, typer.Argument(help="Number of a registered version.")],
    actor: ActorOption,
    reason: ReasonOption,
    settings: SettingsOption = None,
) -> None:
    """Hold challengers against another version from the next night on."""
    from mrlm.promotion.moves.set_anchor import set_anchor

    loaded = load_settings(settings)
    require_approver(loaded, actor)
    place, at = place_of(loaded, Workspace(loaded.workspace)), now()
    try:
        entry = set_anchor(
            place,
            version,
            actor=actor,
            at=at,
            reason=reason,
            seconds=loaded.gate.lock_seconds,
        )
    except ValueError as error:
        raise DataError(f"the anchor was not moved: {error}") from error
    told = f"by {actor}, version {entry.version}: {reason}"
    notify(Event("anchored", at[:10], "", told), loaded.notify)
    before = "" if entry.anchor is None else f", before it was version {entry.anchor}"
    say(f"the anchor is version {entry.version}{before}: {entry.reason}")
