"""The night's own setting stays unless another is shown to be better."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import ndtri

from mrlm.meta.hyperparameters.hyperparameter_record import Trial


def shown_better(trials: Sequence[Trial], nights: int, level: float) -> Trial | None:
    """The trial with the largest difference whose lower bound is above 0; None where there is none.

    Only trials that were scored on all nights count. Bounds are one-sided and hold together for all
    that were tried, whichever of them were given up on the way (Bonferroni).

    Args:
        trials: the night's own first.
        nights: all that were scored.
        level: of the bounds together.
    """
    _, *others = trials
    if not others:
        return None
    z = float(ndtri(1 - (1 - level) / len(others)))
    shown = [t for t in others if t.nights == nights and t.difference > z * t.standard_error]
    return max(shown, key=lambda t: t.difference, default=None)
