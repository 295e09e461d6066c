"""Commands around the registry: first champion, review, promotion, rollback, verification."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrlm.promotion.record.ledger import champion_stack
from mrlm.promotion.registry.place import RegistryPlace
from pipelines.commands.approvers import require_approver
from pipelines.commands.options import (
    ActorOption,
    NightOption,
    ReasonOption,
    SettingsOption,
    check_run_key,
    context_for,
)
from pipelines.commands.terminal import say, say_lines
from pipelines.contract.deployment import now, place_of
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.running.bootstrap import bootstrap as install
from pipelines.running.notify import Event, Kind, notify
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings

if TYPE_CHECKING:
    from mrlm.promotion.registry.versions import RegisteredVersion

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
    app.command("replay")(replay)
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
    in_browser: Annotated[
        bool, typer.Option("--open", help="Open the page with plots in a browser, too.")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Show a registered version's decision memo, in Markdown, and its page."""
    place, loaded = _open(settings)
    found = registered_version(place, version)
    if in_browser:
        open_page(Workspace(loaded.workspace).run_stage(found.run_key, "gate"))
    evidence = found.tags.get("mrlm.evidence", "")
    if as_json:
        shown = {"run_key": found.run_key, "version": found.version, "memo": found.description}
        form = _form(place, loaded, found)
        typer.echo(json.dumps({**shown, "form": form, "evidence": evidence}))
        return
    say(f"# {loaded.registry.model}, version {found.version}")
    say_lines(f"\nRun key {found.run_key}, evidence {evidence or 'none'}\n\n{found.description}")


def _form(place: RegistryPlace, settings: Settings, found: RegisteredVersion) -> str:
    """What Airflow's form shows: the memo, and in another language the answer before it."""
    from mrlm.promotion.judgement.judged_again import judged_again
    from mrlm.promotion.registry.version_files import version_evidence, version_folder
    from mrlm.report.form_text import form_text

    language = settings.report.language
    evidence = None
    if language != "en":
        evidence = version_evidence(version_folder(place, found.version))
    if evidence is None:
        return found.description
    try:
        verdict = judged_again(place, found.run_key, settings.gate).verdict
    except ValueError:
        # Without a judgement there is no answer yet, and the memo says what there is.
        return found.description
    return form_text(evidence, verdict, found.description, language)


def open_page(gate: Path) -> None:
    """Open the review page of a run, which its gate wrote.

    Raises:
        DataError: it is not there.
    """
    import webbrowser

    page = gate / "report" / "index.html"
    if not page.exists():
        raise DataError(
            f"{page} is not there: the night was judged in another workspace, or was cleaned; "
            "MLflow's page of the version carries it too ('make ui')"
        )
    webbrowser.open(page.resolve().as_uri())


def registered_version(place: RegistryPlace, named: str) -> RegisteredVersion:
    """The version of a number or a run key.

    Raises:
        DataError: there is none.
    """
    from mrlm.promotion.registry.versions import all_versions, find_version

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


def replay(run_key: RunKeyArgument, settings: SettingsOption = None) -> None:
    """Judge a night again from what was kept: the same verdict, or what differs."""
    from mrlm.promotion.judgement.judged_again import judged_again

    place, loaded = _open(settings)
    try:
        found = judged_again(place, run_key, loaded.gate)
    except ValueError as error:
        raise DataError(f"{run_key} cannot be judged again: {error}") from error
    if found.differences:
        raise DataError(
            f"the verdict on {run_key} is another one now, by the settings or the code of today: "
            + "; ".join(found.differences)
        )
    say(f"the same verdict, {found.entry.verdict}, on evidence {found.entry.evidence[:12]}")
    say_lines(found.verdict.reason)


def decide(
    run_key: RunKeyArgument,
    actor: ActorOption,
    reason: ReasonOption,
    approve: Annotated[bool, typer.Option("--approve/--reject")],
    settings: SettingsOption = None,
) -> None:
    """Write a person's approval or rejection into the ledger."""
    from mrlm.promotion.judgement.review import record_decision

    place, loaded = _open(settings)
    require_approver(loaded, actor)
    entry = record_decision(place, run_key, approve=approve, actor=actor, at=now(), reason=reason)
    kind: Kind = "approved" if approve else "rejected"
    notify(Event(kind, run_key[:10], run_key, f"by {actor}: {reason}"), loaded.notify)
    typer.echo(json.dumps({"run_key": run_key, "decision": entry.kind, "actor": entry.actor}))


def promote(run_key: RunKeyArgument, actor: ActorOption, settings: SettingsOption = None) -> None:
    """Make a judged version champion, if a recorded decision says so."""
    from mrlm.promotion.moves.promote import promote as move

    place, loaded = _open(settings)
    require_approver(loaded, actor)
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
    leaving: Annotated[
        int | None,
        typer.Option("--from", help="Version that must be champion now; default whichever is."),
    ] = None,
    request: Annotated[
        str, typer.Option(help="What asks for it, such as a run of Airflow; it is answered once.")
    ] = "",
    settings: SettingsOption = None,
) -> None:
    """Make the champion before this one, or an earlier one, champion again.

    Repeated by the same actor for the same reason it moves nothing: --from goes back further.
    """
    from mrlm.promotion.moves.rollback import rollback as move

    place, loaded = _open(settings)
    require_approver(loaded, actor)
    at = now()
    outcome = move(
        place,
        loaded.gate,
        actor=actor,
        at=at,
        reason=reason,
        to=to,
        leaving=leaving,
        request=request,
    )
    told = f"by {actor}, version {outcome.champion} is champion: {outcome.reason}"
    notify(Event("rolled_back", at[:10], "", told), loaded.notify)
    result = {"status": outcome.status, "champion": outcome.champion, "reason": outcome.reason}
    typer.echo(json.dumps(result))


def verify(
    restore: Annotated[
        bool, typer.Option("--restore", help="Set the aliases back to what the ledger says.")
    ] = False,
    head: Annotated[
        str,
        typer.Option(help="Hash that an earlier 'mrlm verify' printed, kept out of reach of both."),
    ] = "",
    settings: SettingsOption = None,
) -> None:
    """Find moved aliases, a ledger that was changed, and versions whose files were."""
    from mrlm.promotion.moves.verify import restore as put_back
    from mrlm.promotion.moves.verify import verify as check

    place, loaded = _open(settings)
    if head and not re.fullmatch(r"[0-9a-f]{64}", head):
        raise typer.BadParameter(f"--head {head!r} is not a hash of 64 hexadecimal digits")
    seconds = loaded.gate.lock_seconds
    if restore:
        problems = put_back(place, actor="mrlm verify --restore", head=head, seconds=seconds)
    else:
        problems = check(place, head=head, seconds=seconds)
    for problem in problems:
        say(problem)
    if problems:
        raise DataError(f"{len(problems)} problems, each named above with what to do")
    entries = place.ledger.entries()
    say(
        "the aliases are what the ledger says, its chain is whole, and every version that it names "
        "is as it was registered"
    )
    found = {"champion": (champion_stack(entries) or (None,))[-1], "entries": len(entries)}
    typer.echo(json.dumps({**found, "head": entries[-1].hash if entries else ""}))


def _open(settings: Path | None) -> tuple[RegistryPlace, Settings]:
    loaded = load_settings(settings)
    return place_of(loaded, Workspace(loaded.workspace)), loaded
