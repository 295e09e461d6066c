"""What was tried on past nights, under which conditions, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mrlm.meta.hyperparameters.night_conditions import Conditions

SCHEMA = 1
_REMEMBERED = 90
# Trials of one night at most: those that may be tried, the typed one and the night's own; and what
# no difference, error or number of decisions reaches.
_MOST_TRIALS, _LARGEST = 258, 1e100


@dataclass(frozen=True)
class Trial:
    """One setting on one night.

    Attributes:
        setting: by name.
        difference: what it makes better than the typed setting, on the same decisions of nights
            that neither was fitted to or tuned on: of a meta-update the north star's value, of
            a behaviour model its prediction.
        standard_error: of the difference, clustered by user.
        nights: that it was scored on.
    """

    setting: dict[str, Any]
    difference: float
    standard_error: float
    nights: int


@dataclass(frozen=True)
class SearchedNight:
    """One night's search.

    Attributes:
        night: newest night that was scored, ISO date.
        conditions: of its log.
        trials: the typed setting first, with difference 0.
        chosen: for the next night, by name.
    """

    night: str
    conditions: Conditions
    trials: tuple[Trial, ...]
    chosen: dict[str, float | None]


@dataclass(frozen=True)
class HyperparameterRecord:
    """The searches of the last 90 nights, oldest first."""

    nights: tuple[SearchedNight, ...] = ()

    @property
    def chosen(self) -> dict[str, float | None]:
        """What the last search left for tonight; empty before the first."""
        return self.nights[-1].chosen if self.nights else {}

    @property
    def told(self) -> str:
        """The last search in one sentence."""
        if not self.nights:
            return "none tried yet: that takes two tune nights with known rewards"
        last = self.nights[-1]
        own, *others = last.trials
        said = f"{last.night}: {len(others)} tried beside {_as_text(own.setting)}, "
        if last.chosen == own.setting:
            return said + "none of them shown to be better"
        better = next(t for t in others if t.setting == last.chosen)
        return (
            f"{said}from the next night on {_as_text(better.setting)}: better by "
            f"{better.difference:.3g}, standard error {better.standard_error:.2g}"
        )

    def after(self, searched: SearchedNight) -> HyperparameterRecord:
        """With one more night; one that is run again takes the place of its search."""
        before = tuple(n for n in self.nights if n.night < searched.night)
        return replace(self, nights=(*before, searched)[-_REMEMBERED:])

    def to_json(self) -> dict[str, Any]:
        """All fields, and the schema's version."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> HyperparameterRecord:
        """The record that ``to_json`` wrote.

        Raises:
            ValueError: it is of another schema, or holds what no search writes.
        """
        if data.get("schema") != SCHEMA:
            raise ValueError(
                f"the record of hyper-parameters has schema {data.get('schema')!r}, and this code "
                f"reads {SCHEMA}: write it again with this code, or leave it out"
            )
        return cls(tuple(_night(n) for n in data["nights"][-_REMEMBERED:]))


def _night(told: Mapping[str, Any]) -> SearchedNight:
    """One night; another deployment's record is read too, and may hold anything."""
    found = SearchedNight(
        night=told["night"],
        conditions=Conditions(**told["conditions"]),
        trials=tuple(Trial(**t) for t in told["trials"]),
        chosen=told["chosen"],
    )
    seen = found.conditions
    numbers = [seen.drift, seen.density, seen.size]
    numbers += [x for t in found.trials for x in (t.difference, t.standard_error)]
    errors = (t.standard_error for t in found.trials)
    fits = (
        all(abs(x) < _LARGEST for x in numbers) and seen.size >= 1 and min(errors, default=0) >= 0
    )
    if not fits or len(found.trials) > _MOST_TRIALS:
        raise ValueError(
            f"night {found.night}: at most {_MOST_TRIALS} trials with finite differences and "
            "standard errors of at least 0, of at least one decision, are what a search writes"
        )
    return found


def _as_text(setting: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {'none' if v is None else f'{v:g}'}" for name, v in setting.items())


# Before the first search.
NO_RECORD = HyperparameterRecord()
