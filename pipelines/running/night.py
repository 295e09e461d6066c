"""Run the stages of a night in order, without Airflow, and close it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.outputs import damage_of
from pipelines.contract.sealed import read_sealed, write_sealed
from pipelines.contract.stage import Stage
from pipelines.failures.errors import DamagedError, DataError, NightStoppedError
from pipelines.running.notify import Event, Kind, notify
from pipelines.running.run_stage import Outcome, is_unchanged, run_stage
from pipelines.stages import ORDER, output_of, stage_named

NightVerdict = Literal[
    "promoted",
    "refused",
    "unchanged",
    "stopped",
    "failed",
    "history",
    "waiting",
    "dry_run",
]

# A dry run learns and tunes. It never looks at gate nights: a look that is not counted would let
# somebody try many settings and judge the best of them.
DRY_RUN = ORDER[: ORDER.index("evaluate")]
# These run on a stopped or refused night too.
ALWAYS = ("publish",)


@dataclass(frozen=True)
class Closing:
    """How a night ended.

    Attributes:
        night: ISO date.
        run_key: of the run.
        verdict: how it ended.
        reason: in words.
    """

    night: str
    run_key: str
    verdict: NightVerdict
    reason: str


def run_night(context: NightContext, dry_run: bool = False) -> Closing:
    """Run every stage of a night and close it; a stopped or failed night still publishes."""
    errors: dict[str, str] = {}
    for name in DRY_RUN if dry_run else ORDER:
        if errors and name not in ALWAYS:
            continue
        try:
            execute(stage_named(name), context)
        except DataError as error:
            context.log(name).error("%s", error)
            errors[name] = str(error).removeprefix(f"night {context.night}: ")
    return close_night(context, dry_run, errors)


def execute(stage: Stage[Any], context: NightContext) -> Outcome:
    """Run one stage; report a data error to whoever is to be notified.

    Raises:
        DataError: the stage failed on its data or settings.
    """
    try:
        outcome = run_stage(stage, context)
        if stage.name == "publish":
            from pipelines.stages.publish import point_at

            # After the manifest, and also when nothing changed: another run may have published.
            point_at(context, outcome.manifest)
        return outcome
    except DataError as error:
        kind: Kind = "stopped" if isinstance(error, NightStoppedError) else "failed"
        event = Event(kind, context.night, context.run_key, f"{stage.name}: {error}")
        notify(event, context.settings.notify)
        raise


def close_night(
    context: NightContext, dry_run: bool = False, errors: Mapping[str, str] | None = None
) -> Closing:
    """Say how the night ended, from manifests, and record it.

    Args:
        context: of the night.
        dry_run: whether its stages end before evaluation.
        errors: stage to what it said when it failed, where this process ran them: else a person
            is sent to its log.
    """
    try:
        closing = _closing(context, dry_run, errors or {})
    except DamagedError as error:
        closing = Closing(context.night, context.run_key, "failed", str(error))
    record(context, closing)
    context.log("close").info("%s: %s", closing.verdict, closing.reason)
    if closing.verdict in {"promoted", "refused", "waiting", "failed"}:
        kind: Kind = closing.verdict
        event = Event(kind, context.night, context.run_key, closing.reason)
        notify(event, context.settings.notify)
        _tell_of_watch(context)
    return closing


def _tell_of_watch(context: NightContext) -> None:
    """Tell of a champion that the night found to fall short, and of the rollback that followed."""
    told: tuple[tuple[str, Kind], ...] = (
        ("gate", "fell_short"),
        ("promote", "fell_short"),
        ("promote", "rolled_back"),
    )
    for stage, kind in told:
        try:
            manifest = context.run(stage).manifest()
        except DamagedError:
            continue
        reason = "" if manifest is None else manifest.counts.get(kind, "")
        if reason:
            notify(Event(kind, context.night, context.run_key, reason), context.settings.notify)


def closing_of(context: NightContext) -> Closing | None:
    """How the night was closed, or None while it is not.

    Raises:
        DamagedError: the file that says so is not as it was written.
    """
    remedy = f"'mrlm close --night {context.night}' writes it again"
    try:
        return read_sealed(_closing_path(context), lambda data: Closing(**data), remedy)
    except FileNotFoundError:
        return None


def _closing_path(context: NightContext) -> Path:
    return context.workspace.runs / context.run_key / "closing.json"


def _closing(context: NightContext, dry_run: bool, errors: Mapping[str, str]) -> Closing:
    def closed(verdict: NightVerdict, reason: str) -> Closing:
        return Closing(context.night, context.run_key, verdict, reason)

    validated = context.lake("validate").manifest()
    if validated and validated.stopped:
        return closed("stopped", validated.stopped)
    wanted = DRY_RUN if dry_run else ORDER
    open_stages = [n for n in wanted if not is_unchanged(stage_named(n), context)]
    if open_stages:
        name = open_stages[0]
        told = f"stage {name}: {errors[name]}" if name in errors else _why_open(name, context)
        return closed("failed", told)
    if dry_run:
        return closed("dry_run", "learned and tuned; gate nights and registry are as they were")
    promoted = context.run("promote").manifest()
    if promoted is None:
        return closed("failed", "stage promote was not completed, see its log")
    return closed(promoted.counts["verdict"], promoted.counts["reason"])


def _why_open(name: str, context: NightContext) -> str:
    """Why a stage does not count as completed."""
    output = output_of(name, context)
    found = output.manifest()
    if found is None:
        return f"stage {name} was not completed, see its log"
    if found.code_version != code_version(type(stage_named(name)).__module__):
        return "the code changed while the night ran: run the night again"
    wrong = damage_of(output.folder)
    if wrong:
        return f"{wrong}: run the night again, which makes stage {name}'s output anew"
    return f"what stage {name} reads has changed since it ran: run the night again"


def record(context: NightContext, closing: Closing) -> None:
    """Write down how the night was closed."""
    write_sealed(_closing_path(context), asdict(closing))
