"""Off-policy evaluation of anyone's table, without the pipeline."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from mrlm.messages.translation import Language
from mrlm.ope.table import TableEvaluation, evaluate_table
from mrlm.report.visible import visible
from pipelines.commands.ope_text import ope_text
from pipelines.failures.errors import DataError

# Characters of a message that is printed.
_MESSAGE = 1000


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("ope")(ope)


def ope(
    table: Annotated[
        Path, typer.Argument(help="Parquet file or folder, CSV, obp feedback .npz, VW .dsjson.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write the diagnostics page, one file, here.")
    ] = None,
    language: Annotated[Language, typer.Option(help="Of the page: en or zh.")] = "en",
    level: Annotated[float, typer.Option(help="Two-sided level of the intervals.")] = 0.95,
    sorted_by_user: Annotated[
        bool,
        typer.Option("--sorted-by-user", help="Users rise: memory does not grow with them."),
    ] = False,
    round: Annotated[
        str | None,
        typer.Option(help="What has a value: decision, slate or session; default by the columns."),
    ] = None,
    propensity_kind: Annotated[
        str | None,
        typer.Option(
            help="Of slates: conditional (default), marginal, slate, independent, exposure."
        ),
    ] = None,
    discount: Annotated[
        float, typer.Option(help="Of sessions: factor a step on later rewards.")
    ] = 1.0,
    estimators: Annotated[
        str | None,
        typer.Option(
            help="Names, comma-separated; default: all that need no tuning. Of decisions also the "
            "tuned ones: clipped_ips, switch_dr, dr_os, dr_ps."
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Print every estimate, refused ones too, and all reasons."),
    ] = False,
) -> None:
    """Evaluate target policies on logged rounds: value, interval and verdict of each.

    Columns: propensity, target_probability[_POLICY], reward[_OBJECTIVE]; optional user_id (or
    session_id, request_id), q_hat[_POLICY][_OBJECTIVE] and v_hat[_POLICY][_OBJECTIVE]. Rows with
    request_id and slot are slots of slates, rows with session_id and step are steps of sessions.
    """
    names = None if estimators is None else [n.strip() for n in estimators.split(",")]
    try:
        found = evaluate_table(
            table,
            level,
            "sorted" if sorted_by_user else "scattered",
            round=round,
            propensity_kind=propensity_kind,
            discount=discount,
            estimators=names,
        )
    except ValueError as error:
        # Names of columns and values stand in the message, and both are others' text.
        raise DataError(visible(str(error), _MESSAGE)) from None
    except OSError as error:
        text = f"{table}: {error.strerror}" if error.strerror else str(error)
        raise DataError(visible(text, _MESSAGE)) from None
    if html is not None:
        _write_page(found, table.name, html, language)
    if as_json:
        typer.echo(json.dumps(found.to_json(), allow_nan=False))
        return
    width = shutil.get_terminal_size((80, 24)).columns
    encoding = sys.stdout.encoding or "utf-8"
    for line in ope_text(found, table.name, width, everything):
        typer.echo(line.encode(encoding, "backslashreplace").decode(encoding))


def _write_page(found: TableEvaluation, name: str, html: Path, language: Language) -> None:
    from mrlm.report.ope_page import render_ope_page

    page = render_ope_page(found, name, language)
    try:
        html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{visible(str(html))}: the page cannot be written: {error.strerror or error}"
        ) from None
