"""Settings of the meta-update that may move, and what each may be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.settings import TuningSettings

# One value for each name of a space; None is a half-life that never ends.
Setting = tuple[float | None, ...]


@dataclass(frozen=True)
class _Range:
    """Values of one hyper-parameter, and a coordinate in which steps between them are alike."""

    values: tuple[float | None, ...]
    coordinate: Callable[[float | None], float]


def _logarithm(value: float | None) -> float:
    return math.log(value or 1.0)


def _share(value: float | None) -> float:
    return value or 0.0


def _forgotten(value: float | None) -> float:
    """Share of a decision's weight that a night takes; nothing without a half-life."""
    return 0.0 if value is None else float(1 - 0.5 ** (1 / value))


def _nines(value: float | None) -> float:
    return -math.log10(1 - _share(value))


_RANGES = {
    "half_life": _Range((None, 4.0, 2.0, 1.0), _forgotten),
    "confidence": _Range((0.2, 0.6, 0.9, 0.99), _nines),
    "kept_bound": _Range((0.25, 0.5, 0.75, 1.0), _share),
    "weight_clip": _Range((2.5, 5.0, 10.0, 40.0), _logarithm),
}


@dataclass(frozen=True)
class HyperparameterSpace:
    """A grid over some settings of ``TuningSettings``.

    Attributes:
        names: of the settings that may move.
        values: of each, those that may be tried, without repetition.
    """

    names: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]

    @classmethod
    def around(cls, settings: TuningSettings) -> HyperparameterSpace:
        """What ``settings.hyperparameters`` names, with the typed value of each among its own."""
        names = settings.hyperparameters
        typed = (getattr(settings, name) for name in names)
        values = tuple(
            tuple(dict.fromkeys((*_RANGES[name].values, value)))
            for name, value in zip(names, typed, strict=True)
        )
        return cls(names, values)

    def settings(self) -> list[Setting]:
        """All of the grid."""
        return list(itertools.product(*self.values))

    def of(self, settings: TuningSettings) -> Setting:
        """What typed settings have."""
        return tuple(getattr(settings, name) for name in self.names)

    def known(self, values: Mapping[str, float | None]) -> Setting | None:
        """The setting of named values; None where they are not one of this grid."""
        if set(values) != set(self.names):
            return None
        found = tuple(values[name] for name in self.names)
        inside = all(v in own for v, own in zip(found, self.values, strict=True))
        return found if inside else None

    def named(self, setting: Setting) -> dict[str, float | None]:
        """A setting by name."""
        return dict(zip(self.names, setting, strict=True))

    def applied(self, settings: TuningSettings, setting: Setting) -> TuningSettings:
        """Typed settings with a setting in their place."""
        return settings.model_copy(update=self.named(setting))

    def coordinates(self, settings: Sequence[Setting]) -> NDArray[np.float64]:
        """Places in the unit cube, float64, shape (settings, names)."""
        columns = [_placed([s[j] for s in settings], name) for j, name in enumerate(self.names)]
        return np.column_stack(columns)


def _placed(values: Sequence[float | None], name: str) -> NDArray[np.float64]:
    """Coordinates of values, 0 and 1 at the ends of the range."""
    own = _RANGES[name]
    ends = [own.coordinate(v) for v in own.values]
    low, high = min(ends), max(ends)
    return (np.array([own.coordinate(v) for v in values]) - low) / (high - low)
