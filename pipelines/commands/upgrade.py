"""Upgrade: bring what earlier releases left in a workspace to what this one keeps."""

from __future__ import annotations

from typing import Annotated

import typer

from mrlm.promotion.registry.place import RegistryPlace
from pipelines.commands.options import SettingsOption
from pipelines.commands.terminal import say
from pipelines.contract.deployment import now, place_of
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings


def add_commands(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("upgrade")(upgrade)


def upgrade(
    actor: Annotated[
        str, typer.Option(help="Who vouches for the workspace as it is; goes into the ledger.")
    ],
    settings: SettingsOption = None,
) -> None:
    """Keep what earlier releases wrote: the ledger, versions that reproduce, stages' outputs."""
    from mrlm.promotion.moves.adopt import adopt_ledger

    loaded = load_settings(settings)
    workspace = Workspace(loaded.workspace)
    place = place_of(loaded, workspace)
    adopted = adopt_ledger(place, actor=actor, at=now(), seconds=loaded.gate.lock_seconds)
    if adopted is not None:
        say(adopted.reason)
    problems = _versions(place, loaded, actor) + _outputs(workspace, place, loaded, actor)
    if problems:
        raise DataError("; ".join(problems))
    say("the ledger's end is marked, and every version has hashes of its files")


def _versions(place: RegistryPlace, settings: Settings, actor: str) -> list[str]:
    """Hash the files of versions; what has to be mended, in words."""
    from mrlm.promotion.moves.upgrade import upgrade as bring_up

    left = []
    for version in bring_up(place, settings.gate, actor=actor, at=now()):
        say(
            f"version {version.version}: "
            + ("hashes written; " if version.hashed else "left without hashes; ")
            + version.found
        )
        if not version.hashed:
            left.append(version.version)
    if not left:
        return []
    return [
        f"versions {left} have no hashes and cannot be promoted or rolled back to: mend what is "
        "said above and repeat the command"
    ]


def _outputs(
    workspace: Workspace, place: RegistryPlace, settings: Settings, actor: str
) -> list[str]:
    """Keep the outputs of stages; what has to be mended, in words."""
    from pipelines.care.kept import Kept, Left, examine, keep

    found = list(examine(workspace, settings))
    kept = [f for f in found if isinstance(f, Kept)]
    left = [f for f in found if isinstance(f, Left)]
    seconds = settings.gate.lock_seconds
    left += keep(workspace, place, kept, actor=actor, at=now(), seconds=seconds)
    for one in left:
        say(f"{one.folder.relative_to(workspace.root)}: left; {one.reason}")
    if found:
        say(
            f"outputs of earlier code: {len(found) - len(left)} kept, {len(left)} left; what is "
            "left and whole is read as it is, and made anew when its night is run again"
        )
    damaged = sum(one.damaged for one in left)
    return [f"{damaged} outputs are damaged, each named above with what to do"] if damaged else []
