"""The typed setting holds unless another is shown to be better, and goes on being so."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import ndtri

from mrlm.meta.hyperparameters.hyperparameter_record import Trial


def shown_better(trials: Sequence[Trial], nights: int, level: float) -> Trial | None:
    """The trial with the largest difference whose lower bound is above 0; None where there is none.

    Only trials that were scored on all nights count. Bounds are one-sided and hold together for all
    that were tried, whichever of them were given up on the way (Bonferroni).

    Args:
        trials: the typed setting's first, which the others are compared with.
        nights: all that were scored.
        level: of the bounds together.
    """
    _, *others = trials
    if not others:
        return None
    z = float(ndtri(1 - (1 - level) / len(others)))
    shown = [t for t in others if t.nights == nights and t.difference > z * t.standard_error]
    return max(shown, key=lambda t: t.difference, default=None)


def still_better(kept: Trial | None) -> Trial | None:
    """A setting that was shown to be better once, as long as it scores above the typed one.

    To go back takes no proof: among many nights some setting is shown to be better by luck, and
    its proof would otherwise hold until another one is found.
    """
    return kept if kept is not None and kept.difference > 0 else None
