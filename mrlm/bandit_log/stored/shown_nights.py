"""Nights of any length as what was shown in them, some users of a night at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset as pads

from mrlm.bandit_log.bandit_log import BanditLog
from mrlm.bandit_log.catalog import Catalog
from mrlm.bandit_log.objectives import Objective
from mrlm.bandit_log.stored.reader import decisions_of, read_shown
from mrlm.bandit_log.stored.user_sample import UserSample

# Decisions that are in memory at once: about 200 MiB.
_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class ShownNights:
    """All decisions of some nights, read anew at each pass; memory is that of a part of a night.

    Each part is a log of all decisions of some users of one night, with the shown item as the only
    candidate, see ``read_shown``.

    Attributes:
        paths: of the nights, as for ``read_bandit_log``.
        catalog: the items.
        objectives: all of the log; rewards are of those that feedback brings.
    """

    paths: Sequence[Path]
    catalog: Catalog
    objectives: tuple[Objective, ...]

    def longer_than(self, most: int | None) -> bool:
        """Whether ``read_bandit_log`` leaves some of them out at this ``most``."""
        return any(UserSample.of(decisions_of(p), most, p.name).share < 1 for p in self.paths)

    @property
    def decisions(self) -> int:
        """How many there are in all."""
        return sum(
            pads.dataset(decisions_of(path), partitioning=None).count_rows() for path in self.paths
        )

    def __iter__(self) -> Iterator[BanditLog]:
        brought = tuple(o for o in self.objectives if o.source == "feedback")
        for path in self.paths:
            yield from read_shown(path, self.catalog, brought, _AT_ONCE)
