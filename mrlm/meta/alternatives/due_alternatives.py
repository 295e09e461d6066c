"""Which settings a night's behaviour model has, and which others it tries."""

from __future__ import annotations

import itertools
from typing import Any

from mrlm.behaviour.settings import BehaviourSettings
from mrlm.meta.alternatives.alternatives_record import AlternativesRecord, TriedNight


def typed_values(settings: BehaviourSettings) -> dict[str, Any]:
    """What alternatives are compared with, as JSON has it: all settings but those of trials."""
    return settings.with_changes({}).model_dump(mode="json")


def changes_of_night(record: AlternativesRecord, settings: BehaviourSettings) -> dict[str, Any]:
    """What tonight changes of the typed settings, as the nights before left it; empty: nothing.

    Nothing where the typed settings are others by now, or the alternative is no longer named.
    """
    nights = record.nights
    if not nights or nights[-1].typed != typed_values(settings):
        return {}
    chosen = nights[-1].chosen
    return chosen if chosen in settings.alternatives else {}


def due_alternatives(
    record: AlternativesRecord, settings: BehaviourSettings
) -> list[dict[str, Any]]:
    """The alternatives that tonight tries, without the one that serves.

    First those that were tried least. One that did not predict better at its last trial waits for
    two nights, and after each further one for twice as many, so what a poor one costs falls from
    night to night and what holds today may be another tomorrow.
    """
    nights = record.of(typed_values(settings))
    serving = changes_of_night(record, settings)
    waiting = [a for a in settings.alternatives if a != serving and _is_due(a, nights)]
    waiting.sort(key=lambda a: len(_gains(a, nights)))
    return waiting[: settings.alternatives_a_night]


def was_better(
    record: AlternativesRecord,
    settings: BehaviourSettings,
    alternative: dict[str, Any],
    night: str,
) -> bool:
    """Whether an alternative predicted better at its last trial before a night; False before any.

    A night that is judged again is no other night.
    """
    before = tuple(n for n in record.of(typed_values(settings)) if n.night < night)
    gains = _gains(alternative, before)
    return bool(gains) and gains[-1][1] > 0


def _is_due(alternative: dict[str, Any], nights: tuple[TriedNight, ...]) -> bool:
    gains = _gains(alternative, nights)
    if not gains:
        return True
    # Trials since it last predicted better.
    poor = list(itertools.takewhile(lambda gain: gain[1] <= 0, reversed(gains)))
    since = len(nights) - gains[-1][0]
    return since >= 1 << len(poor)


def _gains(alternative: dict[str, Any], nights: tuple[TriedNight, ...]) -> list[tuple[int, float]]:
    """Place of each night that tried it, and by how much it predicted better."""
    return [
        (place, trial.difference)
        for place, night in enumerate(nights)
        for trial in night.trials
        if trial.setting == alternative
    ]
