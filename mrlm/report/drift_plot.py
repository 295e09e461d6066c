"""A feature's shares tonight beside those of the trailing nights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from mrlm.report.canvas import BLUE, GREY, label, new_axes, to_png

_MOST = 20


def drift_plot(tonight: Mapping[str, float], trailing: Sequence[Mapping[str, float]]) -> bytes:
    """Shares by label as PNG: tonight as dots, each trailing night as a tick.

    Args:
        tonight: label to share.
        trailing: the same of each earlier night.
    """
    top = {k: max(n.get(k, 0.0) for n in (tonight, *trailing)) for k in tonight}
    shown = sorted(sorted(top, key=lambda k: -top[k])[:_MOST], key=list(tonight).index)
    figure, axes = new_axes(height=0.28 * len(shown) + 1.2)
    for i, name in enumerate(shown):
        earlier = [n.get(name, 0.0) for n in trailing]
        axes.plot(earlier, [i] * len(earlier), "|", color=GREY, markersize=10)
        axes.plot([tonight[name]], [i], "o", color=BLUE, markersize=6)
    axes.set_yticks(range(len(shown)), [label(name) for name in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("share: tonight (dot), trailing nights (ticks)")
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        return to_png(figure)
