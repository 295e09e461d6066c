"""Objective weights, why they moved and what others would do, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mrlm.bandit_log.segment_labels import segment_in_words
from mrlm.meta.explain.contributions import ExplainedLift
from mrlm.meta.explain.what_if import TypedLift, WhatIf
from mrlm.report.figures_as_text import NONE, floors_as_text, number, step_as_text

# Of the largest contribution: less is what a solver leaves of a weight of 0.
_DUST = 1e-9


@dataclass(frozen=True)
class ChosenWeights:
    """What one night's meta-update chose.

    Attributes:
        night: ISO date.
        run_key: of the run.
        weights: of the objectives, on the simplex.
        kappa: weight of the champion's log probabilities.
        scale: sum of |theta|, the inverse temperature.
        moved: whether there is a challenger other than the champion.
        reason: why, in a sentence.
        limited_by: what held the step back; None where it did not move.
        scenes: with weights of their own; kappa and scale are those of every other scene.
        hyperparameters: what its search came to, in a sentence; empty where none may move.
        alternatives: what trials of other behaviour settings came to; empty where none are named.
        floors: of who is shown, each ``least``, ``champion`` and ``chosen`` on the tune nights.
    """

    night: str
    run_key: str
    weights: Mapping[str, float]
    kappa: float
    scale: float
    moved: bool
    reason: str
    limited_by: tuple[str, ...] | None
    scenes: tuple[str, ...] = ()
    hyperparameters: str = ""
    alternatives: str = ""
    floors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def shown_weights(tonight: ChosenWeights, before: ChosenWeights | None) -> list[str]:
    """Tonight's weights, how they moved, and why."""
    earlier = before.weights if before else {}
    rows = [("objective", "weight", "before", "change")]
    for name, weight in sorted(tonight.weights.items(), key=lambda w: -w[1]):
        rows.append((name, f"{weight:.3f}", *_moved(weight, earlier.get(name))))
    rows.append(("kappa", f"{tonight.kappa:.3f}", *_moved(tonight.kappa, _of(before, "kappa"))))
    rows.append(("scale", f"{tonight.scale:.3f}", *_moved(tonight.scale, _of(before, "scale"))))
    since = f"before: run {before.run_key}" if before else "no night before it chose weights"
    said = [f"run {tonight.run_key}; {since}", *table(rows)]
    said.append(
        "kappa: how much of the champion's preference is kept (1: all); scale: how sharply the "
        "weighed scores decide (0: not at all)"
    )
    said.append(("" if tonight.moved else "the champion stays: ") + tonight.reason)
    step = step_as_text(tonight.limited_by)
    said += [told for told in (step, floors_as_text(tonight.floors)) if told]
    if tonight.scenes:
        own = ", ".join(map(segment_in_words, tonight.scenes))
        said.append(
            f"with weights of their own: {own} (tuning.json); above are those of all others"
        )
    if tonight.hyperparameters:
        said.append(f"hyper-parameters: {tonight.hyperparameters}")
    if tonight.alternatives:
        said.append(f"alternatives of the behaviour model: {tonight.alternatives}")
    return said


def shown_explanation(found: Sequence[ExplainedLift], objective: str) -> list[str]:
    """What each source adds to the lift of an objective, a block a group."""
    said = []
    for of in found:
        lift = _with_error(of.lift.value, of.lift.standard_error)
        said.append(
            f"{segment_in_words(of.group)}: {objective} {lift} over the champion, from "
            f"{of.rounds} decisions"
        )
        least = _DUST * max((abs(c.value) for c in of.contributions), default=0.0)
        parts = [c for c in of.contributions if abs(c.value) > least]
        parts.sort(key=lambda c: -abs(c.value))
        said += table(
            [
                ("  source", "adds", "standard error"),
                *((f"  {c.source}", _signed(c.value), f"{c.standard_error:.2g}") for c in parts),
            ]
        )
        nothing = [c.source for c in of.contributions if abs(c.value) <= least]
        said += [f"  add nothing: {', '.join(nothing)}"] if nothing else []
    return said


def shown_lifts(lifts: Mapping[str, TypedLift]) -> list[str]:
    """Lift of each objective over the champion, with its interval."""
    rows = [("objective", "lift", "95 % interval", "")]
    for name, lift in lifts.items():
        rows.append((name, _signed(lift.value), _interval(lift), _direction(lift)))
    return table(rows)


def shown_what_if(found: WhatIf, chosen: WhatIf, rounds: int) -> list[str]:
    """What typed weights do, beside what the night chose.

    Args:
        found: of the typed weights.
        chosen: of the night's own point.
        rounds: decisions of the tune nights.
    """
    rows = [("objective", "lift", "95 % interval", "certified", "the night's own")]
    for name, lift in found.lifts.items():
        own = _signed(chosen.lifts[name].value)
        rows.append((name, _signed(lift.value), _interval(lift), _signed(lift.certified), own))
    rows.append(("KL, nats", f"{found.kl:.3g}", "", "", f"{chosen.kl:.3g}"))
    sizes = [f"{w.effective_sample_size:.0f}" for w in (found, chosen)]
    rows.append((f"effective of {rounds} decisions", sizes[0], "", "", sizes[1]))
    said = [f"kappa {number(found.point[0])}, scale {number(_scale(found))}"]
    if not found.moved:
        said.append(f"the champion would stay: {found.reason}")
        said.append("--kappa and --scale together show these weights whatever is proven")
    step = step_as_text(found.limited_by) if found.moved else ""
    said += [step] if step else []
    said += table(rows)
    for name, guard in found.guardrails.items():
        word = "holds" if guard.holds else "DOES NOT HOLD"
        said.append(
            f"guardrail {name} {word}: at least {_signed(guard.lift.lower)}, "
            f"may fall by {number(guard.margin)}"
        )
    said.append(
        "interval: of these weights alone; certified: at least so much for whatever weights you "
        "try and for all objectives together, with 95 %"
    )
    return said


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned lines: the first column to the left, the others to the right."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _moved(now: float, before: float | None) -> tuple[str, str]:
    if before is None:
        return NONE, NONE
    # Rounded before the sign is written: what is left of 0 has none.
    return f"{before:.3f}", f"{round(now - before, 3) + 0.0:+.3f}"


def _of(before: ChosenWeights | None, name: str) -> float | None:
    return None if before is None else float(getattr(before, name))


def _scale(found: WhatIf) -> float:
    return sum(abs(t) for t in found.point[1:])


def _signed(x: float) -> str:
    return number(float(x), signed=True)


def _direction(lift: TypedLift) -> str:
    if lift.lower > 0:
        return "rises"
    return "falls" if lift.upper < 0 else "not clear"


def _interval(lift: TypedLift) -> str:
    return f"[{_signed(lift.lower)}, {_signed(lift.upper)}]"


def _with_error(value: float, error: float) -> str:
    return f"{_signed(value)} (standard error {error:.2g})"
