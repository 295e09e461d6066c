"""What the meta-update remembers from night to night."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mrlm.meta.problem.tuned_softmax import Vector

SCHEMA = 1
_REMEMBERED = 30


@dataclass(frozen=True)
class NightRecord:
    """What one night's meta-update came to.

    Attributes:
        night: newest night that it was tuned on, ISO date.
        strategy: that chose.
        moved: whether it left the champion.
        lift: of what was chosen, on the tune nights.
        lower: its 95 % bound, valid for all points at once.
        changed: whether the newest nights wanted other weights than the nights before.
    """

    night: str
    strategy: str
    moved: bool
    lift: float
    lower: float
    changed: bool


@dataclass(frozen=True)
class MetaState:
    """The state after a night.

    Attributes:
        columns: f names of features.
        point: (kappa, theta) that was chosen last, 1 + f numbers; a night that stays with the
            champion leaves it.
        since: first night of the regime, ISO date; nights before it are not tuned on. Empty: no
            change was found yet.
        records: of the last 30 nights, oldest first.
    """

    columns: tuple[str, ...] = ()
    point: tuple[float, ...] = ()
    since: str = ""
    records: tuple[NightRecord, ...] = ()

    def start(self, columns: tuple[str, ...]) -> Vector | None:
        """The last point where it is over the same features, shape (1 + f,)."""
        return np.array(self.point) if self.point and self.columns == columns else None

    def after(
        self, columns: tuple[str, ...], point: Vector | None, since: str, record: NightRecord
    ) -> MetaState:
        """The state after one more night; one that is run again takes the place of its record.

        Args:
            columns: names of the features.
            point: that was chosen; None: the night stays with the champion.
            since: first night of the regime.
            record: of the night.
        """
        before = tuple(r for r in self.records if r.night < record.night)
        return replace(
            self,
            columns=self.columns if point is None else columns,
            point=self.point if point is None else tuple(float(p) for p in point),
            since=since,
            records=(*before, record)[-_REMEMBERED:],
        )

    def to_json(self) -> dict[str, Any]:
        """All fields, and the schema's version."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MetaState:
        """The state that ``to_json`` wrote.

        Raises:
            ValueError: it is of another schema.
        """
        if data.get("schema") != SCHEMA:
            raise ValueError(
                f"the meta-update's state has schema {data.get('schema')!r}, and this code reads "
                f"{SCHEMA}: run the night with the code that wrote it, or remove the run it is from"
            )
        return cls(
            columns=tuple(data["columns"]),
            point=tuple(data["point"]),
            since=data["since"],
            records=tuple(NightRecord(**r) for r in data["records"]),
        )
