"""What a reviewer is shown beside the evidence; every part may be missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class NightFacts:
    """Counts and qualities of one night.

    Attributes:
        rows: table to category (``raw``, ``clean``, ``duplicate``, ...) to rows.
        validation: verdict of the data's validation; "" where there was none.
        failed_expectations: in words.
        items: ``encoded`` and ``reused`` items.
        reward_model: objective, or objective and group of decisions, to figures on a later night
            (``auc``, ``log_loss``, ...).
        alternative: what its settings are other than typed, because trials showed that it predicts
            better; "" where they are as typed.
        distillation: what a student lost to its teacher, a measure each, as
            ``mrlm.learners.distillation_loss`` has it; empty where nothing was distilled.
        calibration: objective to (mean prediction, mean outcome) of each bin.
        truth: policy, a simple baseline included, or ``difference``, to the north star's true
            value, where a log comes from a known world.
        units: objective to unit.
        yes_or_no: objectives whose reward is 0 or 1.
        discounts: objective that is a return to its discount.
        limited_by: what held the step away from the champion back, in words; empty where only the
            evidence did, None where it is not known.
        scenes: with weights of their own.
        floors: of who is shown, each ``least``, ``champion`` and ``chosen`` on the tune nights.
        strategies: way of choosing the weights to ``lift`` and ``lower``, what it would have chosen
            and its 95 % bound on the tune nights.
        notes: what the gate's state asks of a reader, in sentences.
        links: label to a relative path or http(s) address.
    """

    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    validation: str = ""
    failed_expectations: Sequence[str] = ()
    items: Mapping[str, int] = field(default_factory=dict)
    reward_model: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    alternative: str = ""
    distillation: Sequence[Mapping[str, Any]] = ()
    calibration: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    yes_or_no: Collection[str] = ()
    discounts: Mapping[str, float] = field(default_factory=dict)
    limited_by: Sequence[str] | None = None
    scenes: Sequence[str] = ()
    floors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    strategies: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    links: Mapping[str, str] = field(default_factory=dict)
