"""Plot of what promotions promised and what they brought."""

from __future__ import annotations

from mrlm.evidence.followed_promotions import Hindcast
from mrlm.report.canvas import BLUE, GREY, RED, new_axes, to_png

# Half the distance between the two intervals of one promotion.
_APART = 0.14


def hindcast_plot(found: Hindcast | None, north_star: str) -> bytes | None:
    """Predicted and realised lift of each promotion with intervals, and the promised bound."""
    if found is None or not found.promotions:
        return None
    figure, axes = new_axes(height=0.55 * len(found.promotions) + 1.4)
    for i, p in enumerate(found.promotions):
        for e, at, colour, name in (
            (p.predicted, i - _APART, GREY, "predicted"),
            (p.realised, i + _APART, RED if p.alarm else BLUE, "realised"),
        ):
            label = name if i == 0 else None
            if e.certified and e.lower is not None and e.upper is not None:
                axes.plot([e.lower, e.upper], [at, at], color=colour, linewidth=2)
            axes.plot([e.value], [at], "o", color=colour, markersize=6, label=label)
        axes.plot([p.promised] * 2, [i - 0.3, i + 0.3], color=RED, linewidth=1.5)
    axes.axvline(0.0, color=GREY, linewidth=1)
    axes.set_yticks(
        range(len(found.promotions)),
        [f"v{p.version} after v{p.replaced}" for p in found.promotions],
    )
    axes.set_ylim(len(found.promotions) - 0.5, -0.5)
    axes.set_xlabel(f"lift in {north_star} a decision (red line: promised at least)")
    axes.legend(loc="best", frameon=False)
    return to_png(figure)
