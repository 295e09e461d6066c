"""Commands that run nights and stages."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.commands.options import (
    ForceOption,
    LearnerOption,
    NightOption,
    SettingsOption,
    WeightsOption,
    check_night,
    context_for,
)
from pipelines.context import NightContext
from pipelines.errors import DataError
from pipelines.lake import shift
from pipelines.lease import holder_of_command, holder_of_run, night_lease, release
from pipelines.night import (
    Closing,
    build_history,
    close_night,
    execute,
    read_history,
    run_night,
)
from pipelines.stages import ORDER

_WAIT_SECONDS = 3600.0

OwnerOption = Annotated[
    str | None, typer.Option(help="The run that this stage belongs to; it holds the night.")
]
WaitOption = Annotated[
    float, typer.Option(help="Seconds to wait for another run of the same night.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Learn and tune; leave gate nights and registry.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("night")(night)
    app.command("stage")(stage)
    app.command("history")(history)
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
    with night_lease(context.workspace, context.night, holder_of_command(), wait, keep=False):
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
        outcome = execute(name, context)
    typer.echo(json.dumps({"stage": name, "unchanged": outcome.unchanged}))


def history(
    first: Annotated[str, typer.Argument(help="First night, as YYYY-MM-DD.")],
    last: Annotated[str, typer.Argument(help="Last night, as YYYY-MM-DD.")],
    settings: SettingsOption = None,
    force: ForceOption = False,
    wait: WaitOption = _WAIT_SECONDS,
) -> None:
    """Ingest, validate and build a range of nights in one process; learns and promotes nothing."""
    current, building = check_night(first), None
    with ThreadPoolExecutor(1) as builder:
        while current <= check_night(last):
            context = context_for(current, settings, force=force)
            with ExitStack() as held:
                held.enter_context(
                    night_lease(context.workspace, current, holder_of_command(), wait, keep=False)
                )
                # A night that is stopped is recorded as such, and later nights go on without it.
                closing = read_history(context)
                if building is not None:
                    building.result()
                building = builder.submit(_build_history, context, closing, held.pop_all())
            current = shift(current, 1)
        if building is not None:
            building.result()


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


def _build_history(context: NightContext, closing: Closing, held: ExitStack) -> None:
    with held:
        build_history(context, closing)


def _end(closing: Closing) -> None:
    typer.echo(json.dumps(asdict(closing)))
    if closing.verdict in {"stopped", "failed"}:
        raise DataError(f"night {closing.night} {closing.verdict}: {closing.reason}")
