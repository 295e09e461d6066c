"""Plots of how far the log supports the challenger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mrlm.messages.message import Message, Name
from mrlm.messages.translation import Language, translated
from mrlm.report.canvas import BLUE, GREY, new_axes, to_image


def drift_plot(
    nights: Sequence[Mapping[str, Any]], gate_nights: Sequence[str], language: Language = "en"
) -> bytes | None:
    """Effective share of the decisions and mean weight, night by night; gate nights are filled."""
    known = [d for d in nights if d["effective_share"] is not None]
    if len(known) < 2:
        return None
    figure, axes = new_axes(height=3.0)
    x = range(len(known))
    for name, colour in (("effective_share", BLUE), ("mean_weight", GREY)):
        y = [d[name] for d in known]
        label = translated(Name(name.replace("_", " ")), language)
        axes.plot(x, y, "o-", color=colour, fillstyle="none", label=label)
        gate = [(i, v) for i, v in zip(x, y, strict=True) if known[i]["night"] in gate_nights]
        if gate:
            axes.plot(*zip(*gate, strict=True), "o", color=colour)
    axes.set_xticks(x, [d["night"][5:] for d in known])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return to_image(figure, language)


def propensity_plot(bins: Sequence[Mapping[str, Any]], language: Language = "en") -> bytes | None:
    """Share shown against mean propensity, bin by bin."""
    if not bins:
        return None
    figure, axes = new_axes(height=3.6)
    axes.plot([b["predicted"] for b in bins], [b["observed"] for b in bins], "o-", color=BLUE)
    axes.axline((0.0, 0.0), slope=1.0, color=GREY, linewidth=1)
    axes.set_xlabel(translated(Message("propensity"), language))
    axes.set_ylabel(translated(Message("share shown"), language))
    return to_image(figure, language)
