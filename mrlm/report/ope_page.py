"""The diagnostics page of a table's evaluation: one HTML file that needs nothing else."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mrlm.ope.intervals import Estimate
from mrlm.ope.table import TableEvaluation
from mrlm.report.canvas import BLUE, GREY, label, new_axes, to_png
from mrlm.report.figures_as_text import number
from mrlm.report.ope_summary import NONE_FOR_ALL, Summary
from mrlm.report.page import templates
from mrlm.report.visible import shortened

# What a page can show; the estimates themselves are all in its table.
_MOST_ROWS, _MOST_OBJECTIVES, _MOST_LINES = 60, 12, 12


def render_ope_page(found: TableEvaluation, name: str) -> str:
    """The page as HTML.

    Args:
        found: what the table says of its policies.
        name: of the table.
    """
    environment = templates()
    environment.filters["number"] = lambda x: number(None if _missing(x) else x)
    environment.filters["shortened"] = shortened
    return environment.get_template("ope_page.html.j2").render(
        found=found,
        name=name,
        summary=Summary.of(found),
        none_for_all=NONE_FOR_ALL,
        every=(*found.estimates, *found.differences),
        plots=_plots(found),
        overlap=found.overlap[:_MOST_ROWS],
    )


def _plots(found: TableEvaluation) -> list[tuple[str, str, bytes]]:
    plots = []
    for k, objective in enumerate([*found.selected][:_MOST_OBJECTIVES]):
        for id_, what, rows in (
            ("values", "Certified values", found.estimates),
            ("differences", "Certified paired differences", found.differences),
        ):
            mine = [e for e in rows if e.objective == objective and e.certified]
            if mine:
                caption = f"{what} in {shortened(objective)}"
                if len(mine) > _MOST_ROWS:
                    caption += f", the first {_MOST_ROWS} of {len(mine)}"
                plot = interval_plot(mine[:_MOST_ROWS], found.round)
                plots.append((f"{id_}-{k}", caption, plot))
    caption = f"Importance weights of each {found.round}, those of weight 0 left out"
    if len(found.weights) > _MOST_LINES:
        caption += f", of the first {_MOST_LINES} of {len(found.weights)} policies"
    plots.append(("weights", caption, weight_histogram_plot(found)))
    return plots


def interval_plot(rows: Sequence[Estimate], round: str) -> bytes:
    """Each value with its interval.

    Args:
        rows: certified estimates of one objective.
        round: what the value is of, for the axis.
    """
    figure, axes = new_axes(height=0.4 * len(rows) + 1.2)
    for i, e in enumerate(rows):
        axes.plot([e.lower, e.upper], [i, i], color=BLUE, linewidth=2)
        axes.plot([e.value], [i], "o", color=BLUE, markersize=6)
    axes.set_yticks(range(len(rows)), [f"{label(e.policy)}, {e.estimator}" for e in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"{label(rows[0].objective)} a {round}")
    return _drawn(figure)


def weight_histogram_plot(found: TableEvaluation) -> bytes:
    """Rounds by importance weight, both axes logarithmic: the tail is what matters."""
    figure, axes = new_axes(height=3.2)
    drawn = False
    for policy, histogram in [*found.weights.items()][:_MOST_LINES]:
        shown = histogram.to_json()
        edges, counts = np.asarray(shown["edges"]), np.asarray(shown["counts"])
        if len(counts):
            drawn = True
            # A label that begins with an underscore would be left out.
            told = f"policy {label(policy)} ({histogram.zero} of weight 0)"
            axes.stairs(counts, edges, label=told, linewidth=1.5)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.axvline(1.0, color=GREY, linewidth=1)
    axes.set_xlabel("importance weight")
    axes.set_ylabel(f"{found.round}s")
    if drawn:
        axes.legend(frameon=False)
    return _drawn(figure)


def _drawn(figure: Any) -> bytes:
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        return to_png(figure)


def _missing(x: object) -> bool:
    return x is None or (isinstance(x, float) and not math.isfinite(x))
