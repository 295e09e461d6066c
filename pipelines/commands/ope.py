"""Off-policy evaluation of anyone's table, without the pipeline."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from mrlm.ope.intervals import Estimate
from mrlm.ope.table import TableEvaluation, evaluate_table


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
    tuned: Annotated[
        bool,
        typer.Option(
            help="Of decisions: also clipped and shrunken estimators, tuned on half of the users."
        ),
    ] = True,
) -> None:
    """Evaluate target policies on logged rounds: value, interval and verdict of each.

    Columns: propensity, target_probability[_POLICY], reward[_OBJECTIVE]; optional user_id (or
    session_id, request_id), q_hat[_POLICY][_OBJECTIVE] and v_hat[_POLICY][_OBJECTIVE]. Rows with
    request_id and slot are slots of slates, rows with session_id and step are steps of sessions.
    """
    found = evaluate_table(
        table,
        level,
        "sorted" if sorted_by_user else "scattered",
        round=round,
        propensity_kind=propensity_kind,
        discount=discount,
        tuned=tuned,
    )
    if html is not None:
        from mrlm.report.ope_page import render_ope_page

        html.write_text(render_ope_page(found, table.name), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(found.to_json(), allow_nan=False))
    else:
        _print(found)


def _print(found: TableEvaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("policy", "objective", "estimator", "value", "interval", "verdict")
    computed = [e for e in (*found.estimates, *found.differences) if e.diagnostics]
    for e in computed:
        value = f"{e.value:.4g}" if math.isfinite(e.value) else "none"
        table.add_row(e.policy, e.objective, e.estimator, value, *_judged(e, found.rounds))
    console.print(table)
    # The columns do not allow these, whatever the policy and the objective: once is enough here.
    refused = {e.estimator: e.certificate.reason for e in found.estimates if not e.diagnostics}
    for reason in refused.values():
        console.print(f"refused: {reason}", markup=False)
    console.print(f"value of a {found.round}; unit of independence: {found.unit or 'row'}")
    for policy, objectives in found.tuned.items():
        for objective, members in objectives.items():
            chosen = ", ".join(members.values())
            console.print(f"{policy}, {objective}: tuned on half of the users: {chosen}")
    for objective, name in found.selected.items():
        console.print(f"{objective}: use {name}" if name else f"{objective}: none is certified")
    for warning in found.warnings:
        console.print(f"warning: {warning}")


def _judged(e: Estimate, rounds: str) -> tuple[str, str]:
    if e.certified:
        return f"[{e.lower:.4g}, {e.upper:.4g}]".replace("[", r"\["), "certified"
    needed = e.certificate.rows_needed
    more = "" if needed is None else f"; about {needed} {rounds} needed"
    return "none", f"refused: {e.certificate.reason}{more}".replace("[", r"\[")
