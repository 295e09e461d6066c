"""The night's summary beside its data docs: text and page, the worst fault in the first line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mrlm.log_checks.shapes import NightShape
from mrlm.messages.message import Message
from mrlm.messages.translation import Language
from mrlm.report.drift_plot import drift_plot
from mrlm.report.night_page import summary_page, summary_text
from mrlm.report.visible import shortened
from pipelines.expectations.night_shape import as_read, shapes_of

TEXT, PAGE = "summary.txt", "summary.html"


def write_summary(
    folder: Path,
    night: str,
    verdict: Mapping[str, Any],
    trailing: Sequence[Mapping[str, Any]],
    language: Language = "en",
) -> None:
    """Write ``summary.txt``, a record in English, and ``summary.html``.

    Args:
        folder: that holds the ``data_docs``.
        night: its date.
        verdict: of ``validate_night``.
        trailing: statistics of the nights that it was compared with.
        language: of the page.
    """
    failures = [*verdict["failed"], *verdict["warnings"]]
    limits = verdict["limits"]
    plots = [
        (
            Message("{feature}, by share of the slots", feature=_shortened(name)),
            drift_plot(tonight, earlier, language),
        )
        for name, tonight, earlier in _drifted(verdict, trailing)
    ]
    (folder / TEXT).write_text(summary_text(night, failures, limits))
    (folder / PAGE).write_text(summary_page(night, failures, limits, plots, language))


def _shortened(name: str) -> str:
    shown = shortened(name)
    return name if shown == name else shown


def _drifted(
    verdict: Mapping[str, Any], trailing: Sequence[Mapping[str, Any]]
) -> list[tuple[str, dict[str, float], list[dict[str, float]]]]:
    """Name and shares by label, tonight's and the trailing nights', of features that drifted."""
    if "shape" not in verdict["statistics"]:
        return []
    shape, shapes = NightShape.from_json(verdict["statistics"]["shape"]), shapes_of(trailing)
    warned = {w["expectation"] for w in verdict["warnings"]}
    return [
        (
            name,
            as_read(name, shape.histograms[name], shape),
            [as_read(name, s.histograms[name], shape) for s in shapes if name in s.histograms],
        )
        for name in shape.histograms
        if f"{name} as usual" in warned
    ]
