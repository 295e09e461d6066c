"""Which alternatives were tried on past nights, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mrlm.meta.hyperparameters.hyperparameter_record import Trial

SCHEMA = 1
_REMEMBERED = 90


@dataclass(frozen=True)
class TriedNight:
    """What one night tried.

    Attributes:
        night: newest night that was predicted, ISO date.
        typed: the settings as they are typed, which every alternative is compared with.
        trials: of the night, none where nothing was due; settings are what an alternative changes.
        chosen: what the next night changes of the typed settings; empty: nothing.
    """

    night: str
    typed: dict[str, Any]
    trials: tuple[Trial, ...]
    chosen: dict[str, Any]


@dataclass(frozen=True)
class AlternativesRecord:
    """The trials of the last 90 nights, oldest first."""

    nights: tuple[TriedNight, ...] = ()

    def of(self, typed: Mapping[str, Any]) -> tuple[TriedNight, ...]:
        """Nights whose trials were compared with these typed settings."""
        return tuple(n for n in self.nights if n.typed == typed)

    def after(self, tried: TriedNight) -> AlternativesRecord:
        """With one more night; one that is run again takes the place of its trials."""
        before = tuple(n for n in self.nights if n.night < tried.night)
        return replace(self, nights=(*before, tried)[-_REMEMBERED:])

    @property
    def told(self) -> str:
        """The last trials in one sentence."""
        if not self.nights:
            return "none tried yet"
        last = self.nights[-1]
        said = f"{last.night}: "
        said += ", ".join(map(_in_words, last.trials)) or "none was due"
        serves = changes_as_text(last.chosen) if last.chosen else "the settings as they are typed"
        return f"{said}; from the next night on {serves}"

    def to_json(self) -> dict[str, Any]:
        """All fields, and the schema's version."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AlternativesRecord:
        """The record that ``to_json`` wrote.

        Raises:
            ValueError: it is of another schema.
        """
        if data.get("schema") != SCHEMA:
            raise ValueError(
                f"the record of alternatives has schema {data.get('schema')!r}, and this code "
                f"reads {SCHEMA}: run the stage learn_behaviour of that night again"
            )
        nights = (
            TriedNight(**{**n, "trials": tuple(Trial(**t) for t in n["trials"])})
            for n in data["nights"]
        )
        return cls(tuple(nights))


def changes_as_text(changes: Mapping[str, Any]) -> str:
    """What an alternative changes, in words, by name."""
    parts = []
    for name, value in sorted(changes.items()):
        inner = changes_as_text(value) if isinstance(value, Mapping) else value
        parts.append(f"{name} {inner}")
    return ", ".join(parts)


def _in_words(trial: Trial) -> str:
    found = f"{trial.difference:+.2g}, standard error {trial.standard_error:.2g}"
    return f"{changes_as_text(trial.setting)} {found}"


# Before the first trial.
NOTHING_TRIED = AlternativesRecord()
