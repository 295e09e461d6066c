"""The value of every system over the nights, the mean of the seeds and their range."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mrlm.report.canvas import BLUE, GREY, RED, new_axes, to_svg

# Told apart without colour too.
_STYLES = {
    "gated": (BLUE, "-", 2.2),
    "ungated": (RED, "--", 1.6),
    "frozen": (GREY, "-", 1.2),
    "item mean": ("#b7791f", ":", 1.8),
    "oracle": ("#2f855a", "-.", 1.6),
}


def value_plot(values: Mapping[str, NDArray[np.float64]], unit: str) -> bytes:
    """SVG of lines by night, from 1, with a band from the least to the greatest seed.

    Args:
        values: system to float64 of shape (seeds, nights).
        unit: of the values.
    """
    figure, axes = new_axes(height=4.0)
    for name, by_seed in values.items():
        colour, line, width = _STYLES[name]
        nights = np.arange(1, by_seed.shape[1] + 1)
        axes.plot(nights, by_seed.mean(0), line, color=colour, linewidth=width, label=name)
        axes.fill_between(
            nights, by_seed.min(0), by_seed.max(0), color=colour, alpha=0.12, linewidth=0
        )
    axes.set_xlabel("night")
    axes.set_ylabel(unit)
    axes.legend(frameon=False, ncols=len(values), loc="lower right", fontsize="small")
    return to_svg(figure)
