"""The diagnostics page of a table's evaluation: one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mrlm.ope.intervals import Estimate
from mrlm.ope.table import TableEvaluation
from mrlm.report.canvas import BLUE, GREY, label, new_axes, to_png
from mrlm.report.figures_as_text import number
from mrlm.report.page import templates


def render_ope_page(found: TableEvaluation, name: str) -> str:
    """The page as HTML.

    Args:
        found: what the table says of its policies.
        name: of the table.
    """
    environment = templates()
    environment.filters["number"] = lambda x: number(None if _missing(x) else x)
    return environment.get_template("ope_page.html.j2").render(
        found=found,
        name=name,
        plots=_plots(found),
        overlap=found.overlap,
    )


def _plots(found: TableEvaluation) -> list[tuple[str, str, bytes]]:
    plots = []
    for objective in found.selected:
        for id_, what, rows in (
            ("values", "Values", found.estimates),
            ("differences", "Paired differences", found.differences),
        ):
            mine = [e for e in rows if e.objective == objective and math.isfinite(e.value)]
            if mine:
                caption = f"{what} in {objective}; grey without a line: refused"
                plots.append((f"{id_}-{objective}", caption, interval_plot(mine, found.round)))
    caption = f"Importance weights of each {found.round}, those of weight 0 left out"
    plots.append(("weights", caption, weight_histogram_plot(found)))
    return plots


def interval_plot(rows: Sequence[Estimate], round: str) -> bytes:
    """Each value, with its interval where it is certified.

    Args:
        rows: estimates of one objective.
        round: what the value is of, for the axis.
    """
    figure, axes = new_axes(height=0.4 * len(rows) + 1.2)
    for i, e in enumerate(rows):
        if e.certified:
            axes.plot([e.lower, e.upper], [i, i], color=BLUE, linewidth=2)
        axes.plot([e.value], [i], "o", color=BLUE if e.certified else GREY, markersize=6)
    axes.set_yticks(range(len(rows)), [f"{label(e.policy)}, {e.estimator}" for e in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"{label(rows[0].objective)} a {round}")
    return to_png(figure)


def weight_histogram_plot(found: TableEvaluation) -> bytes:
    """Rounds by importance weight, both axes logarithmic: the tail is what matters."""
    figure, axes = new_axes(height=3.2)
    for policy, histogram in found.weights.items():
        shown = histogram.to_json()
        edges, counts = np.asarray(shown["edges"]), np.asarray(shown["counts"])
        if len(counts):
            told = f"{label(policy)} ({histogram.zero} of weight 0)"
            axes.stairs(counts, edges, label=told, linewidth=1.5)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.axvline(1.0, color=GREY, linewidth=1)
    axes.set_xlabel("importance weight")
    axes.set_ylabel(f"{found.round}s")
    axes.legend(frameon=False)
    return to_png(figure)


def _missing(x: object) -> bool:
    return x is None or (isinstance(x, float) and not math.isfinite(x))
