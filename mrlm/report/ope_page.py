"""The diagnostics page of a table's evaluation: one HTML file that needs nothing else."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mrlm.messages.message import Message, Name
from mrlm.messages.translation import Language, translated
from mrlm.ope.intervals import Estimate
from mrlm.ope.table import TableEvaluation
from mrlm.report.canvas import BLUE, GREY, label, new_axes, to_image
from mrlm.report.figures_as_text import number
from mrlm.report.ope_summary import NONE_FOR_ALL, Summary
from mrlm.report.page import templates
from mrlm.report.visible import shortened

# What a page can show; the estimates themselves are all in its table.
_MOST_ROWS, _MOST_OBJECTIVES, _MOST_LINES = 60, 12, 12


def render_ope_page(found: TableEvaluation, name: str, language: Language = "en") -> str:
    """The page as HTML.

    Args:
        found: what the table says of its policies.
        name: of the table.
        language: of the page.
    """
    environment = templates(language)
    environment.filters["number"] = lambda x: number(None if _missing(x) else x)
    return environment.get_template("ope_page.html.j2").render(
        found=found,
        name=name,
        summary=Summary.of(found),
        none_for_all=NONE_FOR_ALL,
        every=(*found.estimates, *found.differences),
        plots=_plots(found, language),
        overlap=found.overlap[:_MOST_ROWS],
    )


def _plots(found: TableEvaluation, language: Language) -> list[tuple[str, str, bytes]]:
    plots: list[tuple[str, str, bytes]] = []
    for k, objective in enumerate([*found.selected][:_MOST_OBJECTIVES]):
        for id_, caption, rows in (
            ("values", _values(objective), found.estimates),
            ("differences", _differences(objective), found.differences),
        ):
            mine = [e for e in rows if e.objective == objective and e.certified]
            if mine:
                if len(mine) > _MOST_ROWS:
                    told = Message(
                        "{caption}, the first {shown} of {all}",
                        caption=caption,
                        shown=_MOST_ROWS,
                        all=len(mine),
                    )
                else:
                    told = caption
                plot = interval_plot(mine[:_MOST_ROWS], found.round, language)
                plots.append((f"{id_}-{k}", told, plot))
    weights = Message(
        "Importance weights of each {round}, those of weight 0 left out", round=Name(found.round)
    )
    if len(found.weights) > _MOST_LINES:
        weights = Message(
            "{caption}, of the first {shown} of {all} policies",
            caption=weights,
            shown=_MOST_LINES,
            all=len(found.weights),
        )
    plots.append(("weights", weights, weight_histogram_plot(found, language)))
    return plots


def _values(objective: str) -> Message:
    return Message("Certified values in {objective}", objective=shortened(objective))


def _differences(objective: str) -> Message:
    return Message("Certified paired differences in {objective}", objective=shortened(objective))


def interval_plot(rows: Sequence[Estimate], round: str, language: Language = "en") -> bytes:
    """Each value with its interval.

    Args:
        rows: certified estimates of one objective.
        round: what the value is of, for the axis.
        language: of the labels.
    """
    figure, axes = new_axes(height=0.4 * len(rows) + 1.2)
    for i, e in enumerate(rows):
        axes.plot([e.lower, e.upper], [i, i], color=BLUE, linewidth=2)
        axes.plot([e.value], [i], "o", color=BLUE, markersize=6)
    axes.set_yticks(range(len(rows)), [f"{label(e.policy)}, {e.estimator}" for e in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    of = Message("{objective} a {round}", objective=label(rows[0].objective), round=Name(round))
    axes.set_xlabel(translated(of, language))
    return _drawn(figure, language)


def weight_histogram_plot(found: TableEvaluation, language: Language = "en") -> bytes:
    """Rounds by importance weight, both axes logarithmic: the tail is what matters."""
    figure, axes = new_axes(height=3.2)
    drawn = False
    for policy, histogram in [*found.weights.items()][:_MOST_LINES]:
        shown = histogram.to_json()
        edges, counts = np.asarray(shown["edges"]), np.asarray(shown["counts"])
        if len(counts):
            drawn = True
            # A label that begins with an underscore would be left out.
            told = Message(
                "policy {policy} ({zero} of weight 0)", policy=label(policy), zero=histogram.zero
            )
            axes.stairs(counts, edges, label=translated(told, language), linewidth=1.5)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.axvline(1.0, color=GREY, linewidth=1)
    axes.set_xlabel(translated(Message("importance weight"), language))
    axes.set_ylabel(translated(Name(f"{found.round}s"), language))
    if drawn:
        axes.legend(frameon=False)
    return _drawn(figure, language)


def _drawn(figure: Any, language: Language) -> bytes:
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        return to_image(figure, language)


def _missing(x: object) -> bool:
    return x is None or (isinstance(x, float) and not math.isfinite(x))
