"""Commands around the registry: first champion, review, promotion, rollback, verification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrlm.promotion.place import RegistryPlace
from pipelines.bootstrap import bootstrap as install
from pipelines.commands.options import (
    NightOption,
    SettingsOption,
    check_actor,
    check_reason,
    check_run_key,
    context_for,
)
from pipelines.errors import DataError
from pipelines.notify import Event, notify
from pipelines.registry import now, place_of
from pipelines.settings import Settings, load_settings
from pipelines.terminal import say, say_lines
from pipelines.workspace import Workspace

if TYPE_CHECKING:
    from mrlm.promotion.registry import RegisteredVersion

ActorOption = Annotated[
    str, typer.Option(help="Who decides; goes into the ledger.", callback=check_actor)
]
ReasonOption = Annotated[
    str, typer.Option(help="Why; goes into the ledger.", callback=check_reason)
]
RunKeyArgument = Annotated[
    str, typer.Argument(help="Run key of the version, see 'mrlm status'.", callback=check_run_key)
]
VersionArgument = Annotated[
    str, typer.Argument(help="Number of a version, or its run key.", callback=check_run_key)
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("bootstrap")(bootstrap)
    app.command("review")(review)
    app.command("decide")(decide)
    app.command("promote")(promote)
    app.command("rollback")(rollback)
    app.command("verify")(verify)


def bootstrap(
    night: NightOption, actor: ActorOption = "mrlm bootstrap", settings: SettingsOption = None
) -> None:
    """Register a clone of the logger, fitted up to a night, as the first champion."""
    say(install(context_for(night, settings), actor))


def review(
    version: VersionArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON, for programs.")] = False,
    settings: SettingsOption = None,
) -> None:
    """Show a registered version's decision memo, in Markdown."""
    place, loaded = _open(settings)
    found = _version(place, version)
    evidence = found.tags.get("mrlm.evidence", "")
    if as_json:
        shown = {"run_key": found.run_key, "version": found.version, "memo": found.description}
        typer.echo(json.dumps({**shown, "evidence": evidence}))
        return
    say(f"# {loaded.registry.model}, version {found.version}")
    say_lines(f"\nRun key {found.run_key}, evidence {evidence or 'none'}\n\n{found.description}")


def _version(place: RegistryPlace, named: str) -> RegisteredVersion:
    """The version of a number or a run key.

    Raises:
        DataError: there is none.
    """
    from mrlm.promotion.registry import all_versions, find_version

    if not named.isdecimal():
        found = find_version(place, named)
        if found is None:
            raise DataError(f"no registered version has the run key {named}; see 'mrlm status'")
        return found
    versions = {v.version: v for v in all_versions(place)}
    if int(named) not in versions:
        there = ", ".join(map(str, versions)) or "none"
        raise DataError(f"there is no version {named}; the versions are {there}")
    return versions[int(named)]


def decide(
    run_key: RunKeyArgument,
    actor: ActorOption,
    reason: ReasonOption,
    approve: Annotated[bool, typer.Option("--approve/--reject")],
    settings: SettingsOption = None,
) -> None:
    """Write a person's approval or rejection into the ledger."""
    from mrlm.promotion.review import record_decision

    place, _ = _open(settings)
    entry = record_decision(place, run_key, approve=approve, actor=actor, at=now(), reason=reason)
    typer.echo(json.dumps({"run_key": run_key, "decision": entry.kind, "actor": entry.actor}))


def promote(run_key: RunKeyArgument, actor: ActorOption, settings: SettingsOption = None) -> None:
    """Make a judged version champion, if a recorded decision says so."""
    from mrlm.promotion.promote import promote as move

    place, loaded = _open(settings)
    outcome = move(place, run_key, loaded.gate, actor=actor, at=now())
    if outcome.status in {"promoted", "refused"}:
        kind = "promoted" if outcome.status == "promoted" else "refused"
        notify(Event(kind, run_key[:10], run_key, outcome.reason), loaded.notify)  # type: ignore[arg-type]
    result = {"status": outcome.status, "champion": outcome.champion, "reason": outcome.reason}
    typer.echo(json.dumps(result))
    if outcome.status == "refused":
        raise DataError(outcome.reason)


def rollback(
    actor: ActorOption,
    reason: ReasonOption,
    to: Annotated[int | None, typer.Option(help="Version; default the one before.")] = None,
    settings: SettingsOption = None,
) -> None:
    """Make the champion before this one, or an earlier one, champion again."""
    from mrlm.promotion.rollback import rollback as move

    place, _ = _open(settings)
    outcome = move(place, actor=actor, at=now(), reason=reason, to=to)
    typer.echo(json.dumps({"status": outcome.status, "champion": outcome.champion}))


def verify(
    restore: Annotated[
        bool, typer.Option("--restore", help="Set the aliases back to what the ledger says.")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Find aliases that were moved outside the ledger, and a ledger that was changed."""
    from mrlm.promotion.verify import restore as put_back
    from mrlm.promotion.verify import verify as check

    place, _ = _open(settings)
    if restore:
        for line in put_back(place, actor="mrlm verify --restore"):
            say(line)
    problems = check(place)
    for problem in problems:
        say(problem)
    if problems:
        raise DataError(
            f"{len(problems)} problems; look at the ledger {place.folder / 'ledger.jsonl'}, then "
            "set the aliases back with 'mrlm verify --restore'"
        )
    say("the aliases are what the ledger says, and its chain is whole")


def _open(settings: Path | None) -> tuple[RegistryPlace, Settings]:
    loaded = load_settings(settings)
    return place_of(loaded, Workspace(loaded.workspace)), loaded
