"""Commands that look after a deployment: status, summary, quarantine, clean, doctor."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from mrlm.promotion.record.ledger import LedgerError, champion_stack
from mrlm.report.visible import visible
from pipelines.care.cleaning import clean as clean_workspace
from pipelines.care.cleaning import quarantine_folders
from pipelines.care.gate_standing import (
    advice_lines,
    anchor_lines,
    candidate_lines,
    champion_lines,
    trial_lines,
    watch_lines,
)
from pipelines.care.reward_standing import reward_lines
from pipelines.care.summary import (
    NightStanding,
    moves_after,
    objections_of,
    standing_of,
    summarise,
)
from pipelines.care.summary_table import print_summary
from pipelines.commands.options import (
    ActorOption,
    ReasonOption,
    SettingsOption,
    check_night,
    context_for,
)
from pipelines.commands.terminal import say
from pipelines.contract.context import NightContext, contexts_of
from pipelines.contract.deployment import now, place_of
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import EXIT_DATA, DamagedError, DataError
from pipelines.nights.deliveries import doubtful_events, found_fingerprint
from pipelines.nights.lake import table_passed
from pipelines.running.night import Closing
from pipelines.running.notify import Event, notify
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings
from pipelines.stages import ORDER

_SHOWN_NIGHTS = 14


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("status")(status)
    app.command("summary")(summary)
    app.command("quarantine")(quarantine)
    app.command("clean")(clean)
    app.command("doctor")(doctor)
    app.command("accept")(accept)


def status(
    settings: SettingsOption = None,
    max_age: Annotated[
        int | None,
        typer.Option(help="Fail, and notify 'stale', when no night closed in so many days."),
    ] = None,
) -> None:
    """Show the last nights and where each stands."""
    loaded = load_settings(settings)
    contexts = contexts_of(loaded, _SHOWN_NIGHTS)
    on_top = advice_lines(contexts[-1]) if contexts else ["no night has been run yet"]
    for line in on_top:
        say(line)
    newest = ""
    for context in contexts:
        standing = standing_of(context)
        done, closing = standing.done, standing.closing
        waiting = [n for n in ORDER if n not in done]
        where = f"next: {waiting[0]}" if waiting else "all stages done"
        if closing:
            newest = context.night
            where = f"{closing.verdict}: {_reason(context, standing, closing)}"
        say(f"{context.run_key}  {len(done):2d}/{len(ORDER)} stages  {where}")
        for line in moves_after(context):
            say(f"{context.run_key}  afterwards: {line}")
        _tell_broken(context, standing)
    if contexts:
        _tell_rewards(contexts)
    _tell_history(loaded)
    for line in _gate_lines(loaded):
        # What is wrong with the ledger may stand on top already.
        if line not in on_top:
            say(line)
    for line in trial_lines(contexts[-1]) if contexts else []:
        say(line)
    if max_age is not None:
        _check_age(loaded, newest, max_age)


def accept(
    night: Annotated[str, typer.Argument(help="The arrival night, as YYYY-MM-DD.")],
    actor: ActorOption,
    reason: ReasonOption,
    settings: SettingsOption = None,
) -> None:
    """Take a night's deliveries as whole although something speaks against it."""
    from mrlm.promotion.moves.accept import accept_night

    loaded = load_settings(settings)
    context = NightContext(check_night(night), loaded, Workspace(loaded.workspace))
    events = doubtful_events(context, context.night)
    if not events:
        raise DataError(
            f"night {context.night}: nothing speaks against its deliveries, so there is nothing to "
            "accept; 'mrlm status' shows which nights have unknown rewards"
        )
    if not table_passed(context, context.night, "feedback"):
        raise DataError(
            f"night {context.night}: validation stopped its feedback, and deliveries of a stopped "
            "table cannot be accepted: have the night delivered again; or, where its events are "
            "right, raise validation.unattributed_share or set ingestion.unattributed = 'foreign' "
            f"and run 'mrlm stage validate --night {context.night}', then accept"
        )
    accept_night(
        context.registry,
        context.night,
        found_fingerprint(context, context.night),
        actor=actor,
        at=now(),
        reason=reason,
        seconds=loaded.gate.lock_seconds,
    )
    named = ", ".join(visible(e, 80) for e in events)
    say(f"night {context.night}: {named} accepted as delivered; the next night reads it so")


def _reason(context: NightContext, standing: NightStanding, closing: Closing) -> str:
    """Why a night ended as it did, on one line: of several objections the first."""
    found = objections_of(context, standing)
    if len(found) < 2:
        return closing.reason
    more = f"and {len(found) - 1} more: 'mrlm review {context.run_key}'"
    return f"the gate refused it: {found[0]}; {more}"


def _tell_rewards(contexts: list[NightContext]) -> None:
    try:
        for line in reward_lines(contexts[-1], [c.night for c in contexts]):
            say(line)
    except (DamagedError, OSError) as error:
        say(f"rewards: not told, for {error}")


def _tell_broken(context: NightContext, standing: NightStanding) -> None:
    for line in standing.broken:
        say(f"{context.run_key}  BROKEN: {line}")


def _gate_lines(settings: Settings) -> list[str]:
    """Who is under test, what guardrails are anchored to, and what is spent below that."""
    try:
        place, gate = place_of(settings, Workspace(settings.workspace)), settings.gate
        return [
            *watch_lines(place),
            *champion_lines(place),
            *candidate_lines(place, gate.test_nights),
            *anchor_lines(place, gate.anchored),
        ]
    except LedgerError as error:
        return [f"gate: not told, for {error}"]


def _tell_history(settings: Settings) -> None:
    """Say what comes before the first night that can be judged: more nights, or a champion."""
    nights, needed = Workspace(settings.workspace).nights(), settings.history_nights
    if len(nights) < needed:
        say(
            f"{len(nights)} of the {needed} nights that come before the first judged one; add them "
            "with 'mrlm history FIRST LAST'"
        )
    elif not _has_champion(settings):
        say(
            f"no champion yet: make the first with 'mrlm bootstrap --night {nights[-1]}', then run "
            "the nights after it with 'mrlm night NIGHT'"
        )


def _has_champion(settings: Settings) -> bool:
    """Whether the ledger names a champion; so, too, where it cannot be read: that is told apart."""
    try:
        return bool(
            champion_stack(place_of(settings, Workspace(settings.workspace)).ledger.entries())
        )
    except LedgerError:
        return True


def _check_age(settings: Settings, newest: str, max_age: int) -> None:
    today = datetime.now(UTC).date()
    if newest and (today - date.fromisoformat(newest)).days <= max_age:
        return
    reason = f"the newest closed night is {newest or 'none'}; more than {max_age} days ago"
    notify(Event("stale", newest or today.isoformat(), "", reason), settings.notify)
    raise DataError(reason)


def summary(settings: SettingsOption = None) -> None:
    """Print the table of nights and write summary.json."""
    loaded = load_settings(settings)
    print_summary(summarise(contexts_of(loaded), Workspace(loaded.workspace)))


def quarantine(
    night: Annotated[str | None, typer.Option(help="One night; default all.")] = None,
    rows: Annotated[int, typer.Option(help="Rows to show, 0 for the counts alone.")] = 0,
    settings: SettingsOption = None,
) -> None:
    """Show what was quarantined, and why; user ids are shown as pseudonyms."""
    from pipelines.care.quarantine import counts_of, shown_rows

    loaded = load_settings(settings)
    chosen = check_night(night) if night else None
    for folder in quarantine_folders(Workspace(loaded.workspace)):
        of = folder.parent.parent.name
        if chosen in {None, of}:
            for (table, reason), count in counts_of(folder).items():
                say(f"{of}  {table:12s} {reason:26s} {count}")
            for line in shown_rows(folder, loaded, rows):
                say(line)


def clean(
    keep: Annotated[int, typer.Option(help="Newest nights whose runs stay.")],
    settings: SettingsOption = None,
) -> None:
    """Remove old runs and expired quarantine; never what a champion or the ledger names."""
    loaded = load_settings(settings)
    removed = clean_workspace(loaded, Workspace(loaded.workspace), keep)
    for path in removed:
        say(f"removed {path}")
    say(f"{len(removed)} folders and files removed")


def doctor(
    night: Annotated[
        str | None, typer.Option(help="Show this night's raw rows as they will be read, instead.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="With --night: rows of each table.")] = 100,
    settings: SettingsOption = None,
) -> None:
    """Look at Python, Java, memory, disk, homes, models and gate; say what to do about each."""
    from pipelines.care.doctor import examine

    if night is not None:
        _show_rows(context_for(night, settings), rows)
        return
    found = list(examine(_settings_or_none(settings)))
    for finding in found:
        mark = "BAD" if not finding.well else "SEE" if finding.advice else "ok "
        say(f"{mark}  {finding.what:9s} {finding.text}")
    if not all(f.well for f in found):
        raise typer.Exit(EXIT_DATA)


def _show_rows(context: NightContext, rows: int) -> None:
    from pipelines.care.raw_preview import shown_rows

    bad = 0
    for table, found in shown_rows(context, rows).items():
        lost = sum(row.get("reason") is not None for row in found)
        bad += lost
        say(f"{table}: the first {len(found)} rows, of which {lost} would be quarantined")
        for row in found:
            say(f"  {json.dumps(row, ensure_ascii=False)}")
    if bad:
        raise typer.Exit(EXIT_DATA)


def _settings_or_none(path: Path | None) -> Settings | None:
    try:
        return load_settings(path)
    except FileNotFoundError:
        if path is not None:
            raise
        return None
