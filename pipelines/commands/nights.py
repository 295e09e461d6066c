"""Commands that run nights and stages."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import (
    ForceOption,
    LearnerOption,
    NightOption,
    SettingsOption,
    WeightsOption,
    check_night,
    check_wait,
    context_for,
)
from pipelines.contract.context import NightContext
from pipelines.contract.workspace import remove
from pipelines.failures.errors import DataError
from pipelines.nights.lake import TABLES, shift
from pipelines.running.ahead import ingesting_ahead
from pipelines.running.history import (
    Embed,
    embedding,
    held_until_embedded,
    newest_passed,
    read_ahead,
    read_history,
)
from pipelines.running.lease import holder_of_command, holder_of_run, night_lease, release
from pipelines.running.night import Closing, close_night, execute, run_night
from pipelines.running.open_night import closed_nights, ingest_open, night_at, time_given
from pipelines.running.progress import terminal_progress
from pipelines.settings.load import load_settings
from pipelines.stages import ORDER, stage_named

_WAIT_SECONDS = 3600.0

OwnerOption = Annotated[
    str | None, typer.Option(help="The run that this stage belongs to; it holds the night.")
]
WaitOption = Annotated[
    float,
    typer.Option(help="Seconds to wait for another run of the same night.", callback=check_wait),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Learn and tune; leave gate nights and registry.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("night")(night)
    app.command("stage")(stage)
    app.command("ingest")(ingest)
    app.command("history")(history)
    app.command("read-ahead")(ahead)
    app.command("close")(close)


def night(
    night: Annotated[str, typer.Argument(help="The night, as YYYY-MM-DD.")],
    settings: SettingsOption = None,
    weights: WeightsOption = None,
    learner: LearnerOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    wait: WaitOption = _WAIT_SECONDS,
) -> None:
    """Run all stages of a night in order, without Airflow."""
    context = context_for(night, settings, weights, learner, force)
    with _held(context, wait):
        closing = run_night(context, dry_run)
    _end(closing)


def stage(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(ORDER)}.")],
    night: NightOption,
    settings: SettingsOption = None,
    weights: WeightsOption = None,
    learner: LearnerOption = None,
    force: ForceOption = False,
    owner: OwnerOption = None,
    wait: WaitOption = _WAIT_SECONDS,
) -> None:
    """Run one stage of a night: what an Airflow task calls."""
    if name not in ORDER:
        raise typer.BadParameter(f"no stage {name!r}; the stages are {', '.join(ORDER)}")
    context = context_for(night, settings, weights, learner, force)
    holder = holder_of_run(owner) if owner else holder_of_command()
    with night_lease(context.workspace, context.night, holder, wait, keep=owner is not None):
        outcome = execute(stage_named(name), context)
    typer.echo(json.dumps({"stage": name, "unchanged": outcome.unchanged}))


def ingest(
    until: Annotated[
        str, typer.Option(help="'now', or a time such as 2026-11-20T15:00, on the clock of nights.")
    ] = "now",
    night: Annotated[
        str | None, typer.Option(help="The open night; without it, the one that the time lies in.")
    ] = None,
    settings: SettingsOption = None,
    force: ForceOption = False,
    wait: WaitOption = _WAIT_SECONDS,
) -> None:
    """Take what has arrived of a night that is not over, into the workspace's folder 'open'."""
    ingestion = load_settings(settings).ingestion
    at = time_given(until, ingestion, datetime.now(UTC))
    context = context_for(night or night_at(at, ingestion), settings, force=force)
    for folder in closed_nights(context.workspace):
        remove(folder)
    with _held(context, wait):
        outcome = ingest_open(context, at)
    counts = {t: outcome.manifest.counts[t] for t in TABLES}
    told = {"night": context.night, "until": at.isoformat(), "unchanged": outcome.unchanged}
    typer.echo(json.dumps(told | counts))


def history(
    first: Annotated[str, typer.Argument(help="First night, as YYYY-MM-DD.")],
    last: Annotated[str, typer.Argument(help="Last night, as YYYY-MM-DD.")],
    settings: SettingsOption = None,
    force: ForceOption = False,
    wait: WaitOption = _WAIT_SECONDS,
    ahead_to: Annotated[
        str | None,
        typer.Option("--ahead", help="Then read the nights after LAST, up to this one, ahead."),
    ] = None,
) -> None:
    """Do the data stages of a range of nights that will not learn, and close them.

    With --ahead also those of later nights, which are not closed: each waits for its turn to learn,
    and finds its data stages done. They follow in the same Spark session, which is warm by then.

    A night that is stopped ends the command with exit code 10, after all nights have been done.
    """
    nights = _nights(first, last, settings, force)
    later = [] if ahead_to is None else _nights(shift(last, 1), ahead_to, settings, force)
    closings: list[Closing] = []
    shown = partial(terminal_progress(), "nights of history read")
    with embedding() as embed:
        with ingesting_ahead(nights) as ingest:
            for context in nights:
                shown(len(closings), len(nights))
                with held_until_embedded(_held(context, wait), embed) as embed_held:
                    # A stopped night is recorded as such, and later nights go on without it.
                    closings.append(read_history(context, embed_held, ingest.stage(context)))
        shown(len(nights), len(nights))
        newest = newest_passed(nights)
        if newest is not None:
            with _held(newest, wait):
                execute(stage_named("build_log"), newest)
        _read_ahead(later, embed, wait)
    stopped = [c.reason for c in closings if c.verdict == "stopped"]
    if stopped:
        raise DataError(
            f"{len(stopped)} of {len(closings)} nights were stopped, the others are done:\n"
            + "\n".join(stopped)
        )


def ahead(
    first: Annotated[str, typer.Argument(help="First night, as YYYY-MM-DD.")],
    last: Annotated[str, typer.Argument(help="Last night, as YYYY-MM-DD.")],
    settings: SettingsOption = None,
    force: ForceOption = False,
    wait: WaitOption = _WAIT_SECONDS,
) -> None:
    """Do the data stages of nights that wait for their turn to learn; they find them done."""
    with embedding() as embed:
        passed = _read_ahead(_nights(first, last, settings, force), embed, wait)
    typer.echo(json.dumps({"passed": passed}))


def _read_ahead(nights: list[NightContext], embed: Embed, wait: float) -> dict[str, bool]:
    """Read nights ahead of their turn, the first one by itself; whether each passed."""
    passed = {}
    with ingesting_ahead(nights, first_waits=True) as ingest:
        for context in nights:
            with held_until_embedded(_held(context, wait), embed) as embed_held:
                passed[context.night] = read_ahead(context, embed_held, ingest.stage(context))
    return passed


def _nights(first: str, last: str, settings: Path | None, force: bool) -> list[NightContext]:
    current, found = check_night(first), []
    while current <= check_night(last):
        found.append(context_for(current, settings, force=force))
        current = shift(current, 1)
    return found


def _held(context: NightContext, wait: float) -> AbstractContextManager[None]:
    return night_lease(context.workspace, context.night, holder_of_command(), wait, keep=False)


def close(
    night: NightOption,
    settings: SettingsOption = None,
    weights: WeightsOption = None,
    learner: LearnerOption = None,
    dry_run: DryRunOption = False,
    owner: OwnerOption = None,
) -> None:
    """Record how a night ended and let go of it: the last task of an Airflow run."""
    context = context_for(night, settings, weights, learner)
    closing = close_night(context, dry_run)
    if owner:
        release(context.workspace, context.night, holder_of_run(owner))
    _end(closing)


def _end(closing: Closing) -> None:
    typer.echo(json.dumps(asdict(closing)))
    if closing.verdict in {"stopped", "failed"}:
        raise DataError(f"night {closing.night} {closing.verdict}: {closing.reason}")
