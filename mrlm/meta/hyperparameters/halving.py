"""Successive halving: many settings on few nights, the better ones on more."""

from __future__ import annotations

from collections.abc import Sequence

from mrlm.meta.hyperparameters.hyperparameter_record import Trial
from mrlm.meta.hyperparameters.hyperparameter_space import Setting
from mrlm.meta.hyperparameters.prequential import PrequentialScores


def halved(
    scores: PrequentialScores, typed: Setting, settings: Sequence[Setting]
) -> tuple[Trial, ...]:
    """Trials of all settings, each on as many nights as it came to.

    All are scored on the newest night, the better half on the newest two, half of those on four,
    and so on (Jamieson and Talwalkar, AISTATS 2016); a night of a window costs as much as another,
    and unlike with a part of its decisions every score is of what a whole night tunes.

    Args:
        scores: of a window with a night that can be scored.
        typed: the setting as it is typed, which every other one is compared with.
        settings: to try, without ``typed``.

    Returns:
        The typed one first, with difference 0; then the others in the order of ``settings``.
    """
    ages = scores.ages
    found: dict[Setting, Trial] = {}
    left, nights = list(settings), 1
    while left:
        nights = min(nights, len(ages))
        found |= {setting: scores.trial(setting, typed, ages[:nights]) for setting in left}
        if nights == len(ages):
            break
        # Stable: of equals the one that was proposed first stays.
        left = sorted(left, key=lambda s: -found[s].difference)[: (len(left) + 1) // 2]
        nights *= 2
    return (scores.trial(typed, typed, ages), *(found[s] for s in settings))
