"""Plots of a night's evidence, as the bytes of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Message, Name
from mrlm.messages.translation import Language, translated
from mrlm.report.canvas import BLUE, GREY, RED, new_axes, to_image
from mrlm.report.hindcast_plot import hindcast_plot
from mrlm.report.support_plots import drift_plot, propensity_plot


def all_plots(
    evidence: Evidence,
    truth: Mapping[str, float],
    calibration: Mapping[str, Sequence[tuple[float, float]]],
    estimator: str,
    language: Language = "en",
) -> dict[str, bytes]:
    """Name to image of every plot that the data allow, with labels in the language."""
    plots = {
        "intervals": interval_plot(evidence, truth, estimator, language),
        "differences": difference_plot(evidence, estimator, language),
        "weights": weight_plot(evidence.weights, language),
        "importance_weights": histogram_plot(evidence.diagnostics, language),
        "calibration": calibration_plot(calibration, language),
        "hindcast": hindcast_plot(evidence.hindcast, evidence.north_star, language),
        "drift": drift_plot(evidence.support.get("drift", ()), evidence.gate_nights, language),
        "propensities": propensity_plot(
            evidence.support.get("propensity_calibration", ()), language
        ),
    }
    return {name: image for name, image in plots.items() if image is not None}


def interval_plot(
    evidence: Evidence, truth: Mapping[str, float], estimator: str, language: Language = "en"
) -> bytes | None:
    """Each policy's north star with its interval, and the truth where it is known."""
    found = {
        policy: e
        for policy in evidence.policies
        if (e := evidence.estimate(policy, estimator, evidence.north_star)) is not None
        and e.value is not None
    }
    if not found:
        return None
    figure, axes = new_axes(height=0.45 * len(found) + 1.2)
    _forest(axes, {policy.replace("_", " "): e for policy, e in found.items()}, language)
    known = [(truth[p], i) for i, p in enumerate(found) if p in truth]
    if known:
        x, y = zip(*known, strict=True)
        axes.plot(
            x,
            y,
            "D",
            color=RED,
            markersize=6,
            fillstyle="none",
            label=translated(Message("truth"), language),
        )
        axes.legend(loc="best", frameon=False)
    of = Message(
        "{north_star} a decision ({estimator})",
        north_star=evidence.north_star,
        estimator=estimator,
    )
    axes.set_xlabel(translated(of, language))
    return to_image(figure, language)


def difference_plot(evidence: Evidence, estimator: str, language: Language = "en") -> bytes | None:
    """Challenger - champion in every objective, in standard errors, with each margin."""
    found = {
        name: e
        for name, e in evidence.differences.get(estimator, {}).items()
        if e.value is not None and e.standard_error
    }
    if not found:
        return None
    # Objectives have different units; their own standard error puts them on one axis.
    scaled = {n: _scaled(e, e.standard_error or 1.0) for n, e in found.items()}
    figure, axes = new_axes(height=0.45 * len(found) + 1.2)
    _forest(axes, scaled, language)
    for i, (name, e) in enumerate(found.items()):
        if name in evidence.guardrails:
            edge = -evidence.guardrails[name] / (e.standard_error or 1.0)
            axes.plot([edge, edge], [i - 0.3, i + 0.3], color=RED, linewidth=2)
    axes.axvline(0.0, color=GREY, linewidth=1)
    axes.set_xlabel(
        translated(
            Message("challenger - champion, in standard errors (red: accepted fall)"), language
        )
    )
    return to_image(figure, language)


def weight_plot(weights: Mapping[str, float], language: Language = "en") -> bytes | None:
    """Bars of the objective weights."""
    if not weights:
        return None
    names = sorted(weights, key=lambda n: weights[n])
    figure, axes = new_axes(height=0.4 * len(names) + 1.0)
    axes.barh(names, [weights[n] for n in names], color=BLUE)
    axes.axvline(0.0, color=GREY, linewidth=1)
    axes.set_xlabel(translated(Message("weight"), language))
    return to_image(figure, language)


def histogram_plot(
    diagnostics: Mapping[str, Mapping[str, Any]], language: Language = "en"
) -> bytes | None:
    """Importance weights of every policy that has a ``weight_histogram``."""
    found = {p: d["weight_histogram"] for p, d in diagnostics.items() if d.get("weight_histogram")}
    if not found:
        return None
    figure, axes = new_axes(height=3.2)
    for policy, histogram in found.items():
        axes.stairs(
            histogram["counts"],
            histogram["edges"],
            label=translated(Name(policy), language),
            linewidth=1.5,
        )
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(translated(Message("importance weight"), language))
    axes.set_ylabel(translated(Message("decisions"), language))
    axes.legend(frameon=False)
    return to_image(figure, language)


def calibration_plot(
    calibration: Mapping[str, Sequence[tuple[float, float]]], language: Language = "en"
) -> bytes | None:
    """Mean outcome against mean prediction, bin by bin, for each objective."""
    found = {name: points for name, points in calibration.items() if points}
    if not found:
        return None
    figure, axes = new_axes(height=3.6)
    for name, points in found.items():
        x, y = zip(*points, strict=True)
        axes.plot(x, y, "o-", markersize=4, label=name)
    axes.axline((0.0, 0.0), slope=1.0, color=GREY, linewidth=1)
    axes.set_xlabel(translated(Message("predicted"), language))
    axes.set_ylabel(translated(Message("observed"), language))
    axes.legend(frameon=False)
    return to_image(figure, language)


def _forest(axes: Any, estimates: Mapping[str, PolicyEstimate], language: Language) -> None:
    for i, e in enumerate(estimates.values()):
        colour = BLUE if e.certified else GREY
        if e.certified and not e.of_few_rows() and e.lower is not None and e.upper is not None:
            axes.plot([e.lower, e.upper], [i, i], color=colour, linewidth=2)
        axes.plot([e.value], [i], "o", color=colour, markersize=6)
    names = [
        translated(
            Name(n) if e.certified else Message("{name} (not certified)", name=Name(n)), language
        )
        for n, e in estimates.items()
    ]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _scaled(e: PolicyEstimate, unit: float) -> PolicyEstimate:
    def divide(x: float | None) -> float | None:
        return None if x is None else x / unit

    return PolicyEstimate(
        value=divide(e.value),
        standard_error=divide(e.standard_error),
        degrees_of_freedom=e.degrees_of_freedom,
        skewness=e.skewness,
        lower=divide(e.lower),
        upper=divide(e.upper),
        level=e.level,
        certified=e.certified,
    )
