"""What all plots share: axes without a display, colours, PNG bytes."""

from __future__ import annotations

import io
from typing import Any

from mrlm.report.visible import shortened

# Of a name beside an axis; a longer one would leave no room for the plot.
_LONGEST = 24
BLUE, GREY, RED = "#2b6cb0", "#8a8f98", "#c53030"


def new_axes(height: float) -> tuple[Any, Any]:
    """A figure of so many inches and its axes."""
    # A Figure of its own, without pyplot, needs no display and keeps no global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def label(text: object) -> str:
    """A name for an axis or a legend, which Matplotlib takes for no formula."""
    return shortened(text, _LONGEST).replace("$", r"\$")


def to_png(figure: Any) -> bytes:
    """The figure as PNG, the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Any) -> bytes:
    """The figure as SVG, the same bytes each time; letters stay text."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    # Names of clip paths are random without a salt, and the metadata holds the clock.
    with rc_context({"svg.hashsalt": "mrlm", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
