"""Plot of what promotions promised and what they brought."""

from __future__ import annotations

from mrlm.evidence.followed_promotions import Hindcast
from mrlm.messages.message import Message
from mrlm.messages.translation import Language, translated
from mrlm.report.canvas import BLUE, GREY, RED, new_axes, to_image

# Half the distance between the two intervals of one promotion.
_APART = 0.14


def hindcast_plot(
    found: Hindcast | None, north_star: str, language: Language = "en"
) -> bytes | None:
    """Predicted and realised lift of each promotion with intervals, and the promised bound."""
    if found is None or not found.promotions:
        return None
    figure, axes = new_axes(height=0.55 * len(found.promotions) + 1.4)
    for i, p in enumerate(found.promotions):
        for e, at, colour, name in (
            (p.predicted, i - _APART, GREY, Message("predicted")),
            (p.realised, i + _APART, RED if p.alarm else BLUE, Message("realised")),
        ):
            label = translated(name, language) if i == 0 else None
            if e.certified and e.lower is not None and e.upper is not None:
                axes.plot([e.lower, e.upper], [at, at], color=colour, linewidth=2)
            axes.plot([e.value], [at], "o", color=colour, markersize=6, label=label)
        axes.plot([p.promised] * 2, [i - 0.3, i + 0.3], color=RED, linewidth=1.5)
    axes.axvline(0.0, color=GREY, linewidth=1)
    axes.set_yticks(
        range(len(found.promotions)),
        [
            translated(
                Message("v{version} after v{replaced}", version=p.version, replaced=p.replaced),
                language,
            )
            for p in found.promotions
        ],
    )
    axes.set_ylim(len(found.promotions) - 0.5, -0.5)
    lift = Message(
        "lift in {north_star} a decision (red line: promised at least)", north_star=north_star
    )
    axes.set_xlabel(translated(lift, language))
    axes.legend(loc="best", frameon=False)
    return to_image(figure, language)
