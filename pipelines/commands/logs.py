"""Commands for logs that are new to the program: check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrlm.log_mapping.log_check import LogCheck, check_log
from pipelines.care.first_settings import first_settings
from pipelines.commands.terminal import say, say_lines
from pipelines.failures.errors import EXIT_DATA, DataError

_logs = typer.Typer(help="Logs that are new to the program.", no_args_is_help=True)


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    _logs.command("check")(check)
    app.add_typer(_logs, name="logs")


def check(
    path: Annotated[Path, typer.Argument(help="A file, or a folder of files: the whole log.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Write the proposed settings here; an existing file stays as it is."),
    ] = None,
) -> None:
    """Look at a log: what each file is, what is missing, what looks wrong; propose settings."""
    try:
        found = check_log(path)
    except FileNotFoundError as error:
        raise DataError(f"{error}; name the file or folder that holds the log") from None
    for line in told(found):
        say(line)
    text = first_settings(found, (out or Path("mrlm.toml")).absolute().parent)
    if out is None:
        say("")
        say("Proposed settings (--out FILE writes them):")
        say_lines(text)
    else:
        _write(out, text)
        say(f"proposed settings are in {out}: read the comments, then run 'mrlm doctor'")
    if not found.evaluable:
        raise typer.Exit(EXIT_DATA)


def told(found: LogCheck) -> list[str]:
    """The findings, a line each, and whether a night can be evaluated."""
    lines = []
    for table, mapping in found.tables.items():
        named = f", {mapping.format_name}" if mapping.format_name else ""
        sampled = mapping.sampled
        files = "1 file" if sampled.number == 1 else f"{sampled.number} files"
        lines.append(f"{table}: {sampled.pattern} ({files}, {sampled.first.format}{named})")
        for name, source in mapping.columns.items():
            shown = source if isinstance(source, str) else " | ".join(source)
            lines.append(f"    {name:24s} {shown}")
        lines += [f"    event {event:18s} {source}" for event, source in mapping.events.items()]
    words = {"missing": "MISSING", "wrong": "WRONG  ", "note": "note   "}
    for finding in found.findings:
        where = f"{finding.table}: " if finding.table else ""
        lines.append(f"{words[finding.kind]} {where}{finding.text}")
    if found.evaluable:
        lines.append("A night can be evaluated from this log.")
    else:
        stops = sum(f.stops for f in found.findings)
        lines.append(
            f"No night can be evaluated from this log: {stops} of these points stand against it."
        )
    return lines


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise DataError(f"{out} is there already: name another file, or remove it") from None
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror or error}") from None
