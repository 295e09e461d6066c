"""Plots of objective weights: night after night, and what one objective costs another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mrlm.meta.explain.pareto import ParetoPoint
from mrlm.report.canvas import BLUE, GREY, RED, label, new_axes
from mrlm.report.weights_text import ChosenWeights


def weights_over_nights(nights: Sequence[ChosenWeights]) -> Any:
    """A figure of each objective's weight over the nights, oldest first.

    A full dot is a night that moved from the champion, a hollow one a night that did not.
    """
    figure, axes = new_axes(height=3.6)
    names = sorted({n for night in nights for n in night.weights})
    at = range(len(nights))
    for name in names:
        y = [night.weights.get(name, float("nan")) for night in nights]
        (line,) = axes.plot(at, y, linewidth=1.5, label=label(name))
        for x, value, night in zip(at, y, nights, strict=True):
            face = line.get_color() if night.moved else "white"
            axes.plot([x], [value], "o", color=line.get_color(), markerfacecolor=face, markersize=4)
    every = max(1, len(nights) // 10)
    axes.set_xticks(list(at)[::every], [n.night[5:] for n in nights[::every]], rotation=45)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("objective weight")
    axes.set_xlabel("night (hollow: the champion stayed)")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def front_plot(points: Sequence[ParetoPoint], north_star: str) -> Any:
    """A figure with a panel for each other objective: its lift over that of the north star.

    Whiskers reach down to the certified bounds. Points that another one beats are grey and have
    none.
    """
    others = list(dict.fromkeys(p.objective for p in points))
    figure, first = new_axes(height=3.2 * max(len(others), 1))
    first.remove()
    panels = figure.subplots(max(len(others), 1), 1, squeeze=False)[:, 0]
    for axes, other in zip(panels, others, strict=False):
        axes.spines[["top", "right"]].set_visible(False)
        for p in (p for p in points if p.objective == other):
            x, y = p.lifts[north_star], p.lifts[other]
            colour = GREY if p.dominated else BLUE
            if not p.dominated:
                axes.plot([x.lower, x.value], [y.value] * 2, color=colour, linewidth=0.6)
                axes.plot([x.value] * 2, [y.lower, y.value], color=colour, linewidth=0.6)
            axes.plot([x.value], [y.value], "o", color=colour, markersize=4)
        axes.plot([0], [0], "+", color=RED, markersize=10)
        axes.set_xlabel(f"lift in {label(north_star)} (red: the champion)")
        axes.set_ylabel(f"lift in {label(other)}")
    return figure
