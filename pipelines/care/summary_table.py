"""The table of nights at a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mrlm.report.visible import visible

_SHOWN_WEIGHTS = 3
_LONGEST = 4000


def print_summary(summary: dict[str, Any], console: Console | None = None) -> None:
    """Print what is advised, one row a night, where the reports are, and who is on trial."""
    console = console or Console(width=None if Console().is_terminal else 200)
    for line in summary.get("advice", ()):
        _print(console, line)
    table = Table(title="Nights", show_lines=False)
    for name in (
        "night",
        "raw = clean + dup + late + quar",
        "validation",
        "enc / reused",
        "AUC",
        "weights",
        "challenger [interval] (truth)",
        "champion [interval] (truth)",
        "difference [interval] (truth)",
        "best baseline (truth)",
        "verdict",
        "s",
    ):
        table.add_column(escape(name), overflow="fold")
    for night in summary["nights"]:
        table.add_row(*(escape(visible(cell, _LONGEST)) for cell in _cells(night)))
    console.print(table)
    for night in summary["nights"]:
        for line in night["broken"]:
            console.print(f"{night['night']} BROKEN: {line}", markup=False)
        if night["verdict"] not in {None, "history"}:
            for line in _told(night):
                _print(console, line)
            if night["against_baselines"]:
                _print(console, f"  baselines: {night['against_baselines']}")
            if night["report"]:
                _print(console, f"  report: {night['report']}")
    for line in summary.get("gate", ()):
        _print(console, line)


def _print(console: Console, line: str) -> None:
    console.print(visible(line, _LONGEST), markup=False, highlight=False)


def _told(night: dict[str, Any]) -> list[str]:
    """How a night ended and why; several reasons a line each; and what was done afterwards."""
    ended = f"{night['night']} {night['verdict']}"
    if len(night["objections"]) > 1:
        lines = [f"{ended} by the gate:", *(f"  - {why}" for why in night["objections"])]
    else:
        lines = [f"{ended}: {night['reason']}"]
    return lines + [f"  afterwards: {line}" for line in night["afterwards"]]


def _cells(night: dict[str, Any]) -> list[str]:
    rows = night["rows"]
    conserved = "-"
    if rows["raw"] is not None:
        conserved = (
            f"{rows['raw']} = {rows['clean']} + {rows['duplicate']} + {rows['late']} "
            f"+ {rows['quarantined']}"
        )
    items = night["items"]
    encoded = "-" if items["encoded"] is None else f"{items['encoded']} / {items['reused']}"
    weights = sorted(night["weights"].items(), key=lambda w: -w[1])[:_SHOWN_WEIGHTS]
    return [
        night["night"],
        conserved,
        night["validation"]["verdict"] or "-",
        encoded,
        " ".join(f"{n} {a:.2f}" for n, a in night["auc"].items()) or "-",
        " ".join(f"{n} {w:.2f}" for n, w in weights) or "-",
        _estimate(night["challenger"]),
        _estimate(night["champion"]),
        _estimate(night["difference"], signed=True),
        _best_baseline(night),
        "; ".join(
            [night["verdict"] or "open", *(a.partition(" at ")[0] for a in night["afterwards"])]
        ),
        f"{night['seconds']:.0f}",
    ]


def _best_baseline(night: dict[str, Any]) -> str:
    name = night["best_baseline"]
    if name is None:
        return "-"
    # Without its interval, which the review page has: the table is wide as it is.
    found = night["baselines"][name]["policy"]
    shown = _estimate(found and {**found, "lower": None})
    return f"{name.replace('_', ' ')} {shown}"


def _estimate(found: dict[str, Any] | None, signed: bool = False) -> str:
    if found is None or found["value"] is None:
        return "-"
    form = "+.4f" if signed else ".4f"
    version = f"v{found['version']} " if found.get("version") else ""
    text = f"{version}{found['value']:{form}}"
    if found["lower"] is not None:
        text += f" [{found['lower']:{form}}, {found['upper']:{form}}]"
    if not found["certified"]:
        text += " not certified"
    if found["truth"] is not None:
        text += f" ({found['truth']:{form}})"
    return text
