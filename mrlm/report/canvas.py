"""What all plots share: axes without a display, colours, PNG bytes."""

from __future__ import annotations

import io
import warnings
from typing import Any

from mrlm.messages.translation import Language
from mrlm.report.visible import shortened

# Of a name beside an axis; a longer one would leave no room for the plot.
_LONGEST = 24
BLUE, GREY, RED = "#2b6cb0", "#8a8f98", "#c53030"
# Plots draw their letters where Matplotlib's own font has them; elsewhere letters stay text.
ENDINGS: dict[Language, str] = {"en": ".png", "zh": ".svg"}
# What readers' systems have for Chinese; the first gives the sizes that the plot is laid out by.
_FONTS = [
    "DejaVu Sans",
    *("PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC"),
    *("Source Han Sans SC", "WenQuanYi Micro Hei", "sans-serif"),
]


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


def to_image(figure: Any, language: Language) -> bytes:
    """The figure as a page in the language holds it, the same bytes each time."""
    if language == "en":
        return to_png(figure)
    from matplotlib import rc_context

    with warnings.catch_warnings(), rc_context({"font.sans-serif": _FONTS}):
        # The reader's system has the letters that the one that lays out lacks.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        return to_svg(figure)


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
