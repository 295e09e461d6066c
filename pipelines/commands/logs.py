"""Commands for logs that are new to the program: check, convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrlm.log_mapping.log_check import LogCheck, check_log
from pipelines.care.first_settings import first_settings
from pipelines.commands.terminal import say, say_lines
from pipelines.failures.errors import EXIT_DATA, DataError
from pipelines.settings.ingestion import time_zones
from spark_jobs.contract.nearest import meant

_logs = typer.Typer(help="Logs that are new to the program.", no_args_is_help=True)


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    _logs.command("check")(check)
    _logs.command("convert")(convert)
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


def convert(
    path: Annotated[Path, typer.Argument(help="A file, or a folder of files, of the log.")],
    out: Annotated[Path, typer.Argument(help="A new folder: TABLE/NIGHT/part-0.jsonl.")],
    time_zone: Annotated[str, typer.Option(help="IANA name of the time zone of nights.")] = "UTC",
) -> None:
    """Write gittins' experience log as the contract's tables, night by night."""
    from mrlm.log_mapping.experience_log import convert_experience_log

    if time_zone not in time_zones():
        raise DataError(f"there is no time zone {time_zone!r}{meant(time_zone, time_zones())}")
    if not path.exists():
        raise DataError(f"there is no file or folder at {path}")
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    try:
        done = convert_experience_log(files, out, time_zone)
    except FileExistsError as error:
        raise DataError(f"{error}: name another folder, or empty it") from None
    if not done.decisions:
        raise DataError(
            f"{path} holds no decision of an experience log; 'mrlm logs check {path}' says what it "
            "may be"
        )
    say(
        f"{done.decisions} decisions and {done.resolutions} resolutions are in {out}, nights "
        f"{min(done.nights)} to {max(done.nights)}; {done.unread} lines could not be read and lie "
        "with the impressions"
    )
    say(f"next: mrlm logs check {out} --out mrlm.toml")


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
