"""Roll a copy of the registry back, to know that the registry could be."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from mrlm.promotion.moves.rollback import rollback
from mrlm.promotion.moves.verify import verify
from mrlm.promotion.record.ledger import champion_stack
from mrlm.promotion.registry.place import RegistryPlace
from mrlm.promotion.settings import GateSettings

_ACTOR = "mrlm drill"
_LEFT_OUT = ("registry.lock", "fetched")


@dataclass(frozen=True)
class RollbackDrill:
    """What the drill showed.

    Attributes:
        left: version that is champion.
        reached: version that the copy went back to: it loads and gives its probabilities.
        seconds: that the rollback took, without the copying.
    """

    left: int
    reached: int
    seconds: float


def drill_rollback(
    place: RegistryPlace, settings: GateSettings, *, at: str, to: int | None = None
) -> RollbackDrill:
    """Copy the registry, roll the copy back, and see that all of it fits together afterwards.

    The registry is read, under its lock, and not written. The copy needs as much room as the
    registry has, in the temporary folder, and is removed.

    Args:
        place: the registry, in a folder.
        settings: see ``rollback``.
        at: ISO time.
        to: see ``rollback``.

    Raises:
        ValueError: the store is a server's; or what ``rollback`` says of the copy; or the copy does
            not fit together afterwards.
        VersionError, LedgerError, RegistryBusyError, TimeoutError, ChildProcessError: see
            ``rollback``.
    """
    if place.tracking_uri is not None:
        raise ValueError(
            "registry.tracking_uri names a server, which is not copied: restore a backup of it "
            "into a folder, and drill there"
        )
    with tempfile.TemporaryDirectory(prefix="mrlm-drill-") as folder:
        copy = replace(place, folder=Path(folder).resolve() / "registry")
        with place.locked(_ACTOR, settings.lock_seconds):
            leave = shutil.ignore_patterns(*_LEFT_OUT)
            shutil.copytree(place.folder, copy.folder, ignore=leave)
        copy.follow_move()
        champions = champion_stack(copy.ledger.confirmed())
        started = time.perf_counter()
        outcome = rollback(copy, settings, actor=_ACTOR, at=at, reason="a drill", to=to)
        seconds = time.perf_counter() - started
        wrong = [*verify(copy, seconds=settings.lock_seconds)]
        if wrong or outcome.champion is None:
            raise ValueError(f"after the rollback the copy does not fit together: {wrong}")
        return RollbackDrill(champions[-1], outcome.champion, seconds)
