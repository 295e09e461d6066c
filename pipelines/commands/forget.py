"""Forget: take a person out of a workspace, and keep them out."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from pipelines.commands.options import (
    ActorOption,
    ReasonOption,
    SettingsOption,
    check_wait,
)
from pipelines.commands.terminal import say
from pipelines.contract.context import contexts_of
from pipelines.contract.deployment import now
from pipelines.failures.errors import DamagedError, DataError
from pipelines.running.progress import terminal_progress
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings


def add_commands(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("forget")(forget)


def forget(
    user: Annotated[
        str,
        typer.Argument(
            help="The user's id as the raw log writes it; - reads it from standard input, where "
            "no history of commands keeps it."
        ),
    ],
    actor: ActorOption,
    reason: ReasonOption,
    wait: Annotated[
        float,
        typer.Option(help="Seconds to wait for nights that are at work.", callback=check_wait),
    ] = 3600.0,
    settings: SettingsOption = None,
) -> None:
    """Take a person out of all nights, runs, versions and pages, and keep them out.

    Your own raw files are not touched: take the person out of them yourself.
    """
    from pipelines.care.forgetting.erasure import forget as take_out

    loaded = load_settings(settings)
    named = sys.stdin.readline().rstrip("\r\n") if user == "-" else user
    if not named:
        raise DataError("there is no user id to forget")
    key = _key(loaded)
    found = take_out(
        loaded,
        key,
        named,
        actor=actor,
        at=now(),
        reason=reason,
        wait=wait,
        progress=terminal_progress(),
    )
    for place in found.left:
        say(f"left: {place}")
    if found.left:
        raise DataError(
            f"{len(found.left)} places still name the person, each told above with what to do; "
            "then repeat the command"
        )
    for version, nights in found.versions.items():
        say(f"version {version} was made from nights with decisions of the person: {nights}")
    for run, nights in found.runs.items():
        say(f"run {run} read nights with decisions of the person: {nights}")
    say(
        "what was learned from them stays: train new versions without these nights if it must not"
        if found.versions
        else "no registered version was made from decisions of the person"
    )
    say(
        "your own raw files were not touched: take the person out of them, and out of backups, "
        "yourself; rows of theirs that still arrive are dropped and counted as 'forgotten'"
    )
    about = {"files": found.files, "rows": dict(sorted(found.rows.items()))}
    typer.echo(json.dumps({"forgotten": found.hash, "again": found.again, **about}))


def _key(settings: Settings) -> bytes:
    """The key that the nights were made with.

    Raises:
        DataError: there is none, or another one.
    """
    from spark_jobs.tables.pseudonyms import is_known

    name = settings.ingestion.user_key_variable
    key = os.environ.get(name, "").encode()
    known = set()
    for context in contexts_of(settings):
        try:
            manifest = context.lake("ingest").manifest()
        except DamagedError:
            continue
        known |= {manifest.counts["key_id"]} if manifest else set()
    if not known:
        raise DataError("no night has been ingested yet, so there is nobody to forget")
    if not key or not is_known(key, known):
        raise DataError(
            f"{name} does not hold the key that the nights were made with: without it nobody can "
            "tell which rows are the person's"
        )
    return key
