"""A feature's shares tonight beside those of the trailing nights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from mrlm.messages.message import Message
from mrlm.messages.translation import Language, translated
from mrlm.report.canvas import BLUE, GREY, label, new_axes, to_image

_MOST = 20


def drift_plot(
    tonight: Mapping[str, float],
    trailing: Sequence[Mapping[str, float]],
    language: Language = "en",
) -> bytes:
    """Shares by label as an image: tonight as dots, each trailing night as a tick.

    Args:
        tonight: label to share.
        trailing: the same of each earlier night.
        language: of the labels.
    """
    top = {k: max(n.get(k, 0.0) for n in (tonight, *trailing)) for k in tonight}
    shown = sorted(sorted(top, key=lambda k: -top[k])[:_MOST], key=list(tonight).index)
    figure, axes = new_axes(height=0.28 * len(shown) + 1.2)
    for i, name in enumerate(shown):
        earlier = [n.get(name, 0.0) for n in trailing]
        axes.plot(earlier, [i] * len(earlier), "|", color=GREY, markersize=10)
        axes.plot([tonight[name]], [i], "o", color=BLUE, markersize=6)
    axes.set_yticks(range(len(shown)), [label(translated(name, language)) for name in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel(translated(Message("share: tonight (dot), trailing nights (ticks)"), language))
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        return to_image(figure, language)
