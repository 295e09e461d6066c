"""One system through all nights of one world."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loop._faults import Faults, as_logged
from benchmarks.loop._systems import SYSTEMS
from benchmarks.loop._validation import reason_to_stop
from benchmarks.loop._world import Past, Size, world_of
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.worlds.live_replay import ShownNight


def life(
    system: str, seed: int, size: Size, faults: Faults, late: int | None = None
) -> dict[str, Any]:
    """What a system brought, by night.

    Args:
        system: its name.
        seed: of the world.
        size: of the world.
        faults: nights that go wrong.
        late: nights after which a north star is final; None: those of the settings.

    Returns:
        ``value``: true mean north star a slot of the policy that served, by its probabilities;
        ``slots`` logged, of ``scheduled`` in all, and ``twice``, those of a user and item that came
        before; ``new`` items, offered on a night for the first time, and ``new_shown``, those of
        them that were shown on that night; ``told``: what the system said, by night.
    """
    world, past = world_of(seed, size), Past() if late is None else Past(late=late)
    seen: set[int] = set()
    pairs: set[tuple[str, int]] = set()
    found: dict[str, Any] = {"value": [], "slots": [], "new": [], "new_shown": [], "told": {}}
    with tempfile.TemporaryDirectory() as folder:
        own = SYSTEMS[system](Path(folder))
        for night in range(size.nights):
            shown = world.show(own.policy)
            fault = faults.get(night)
            log = as_logged(shown.log, fault)
            why = reason_to_stop(log) if own.validates else ""
            past.add(log, shown, stopped=bool(why))
            found["value"].append(true_value(shown))
            found["slots"].append(len(shown.log))
            items = shown.log.decisions.candidates.values
            new = {*items.tolist()} - seen
            seen |= new
            chosen = items[shown.log.shown].tolist()
            found["new"].append(len(new))
            found["new_shown"].append(len(new & {*chosen}))
            pairs |= {*zip(shown.log.decisions.user.tolist(), chosen, strict=True)}
            # Nothing learns on a night that is stopped: who served it goes on.
            told = f"stopped: {why}" if why else own.after(str(shown.log.night[0]), past, fault)
            if told:
                found["told"][str(night)] = told
    return {**found, "scheduled": len(world), "twice": sum(found["slots"]) - len(pairs)}


def true_value(shown: ShownNight) -> float:
    log: BanditLog = shown.log
    star = shown.truth[:, log.column(north_star(log.objectives).name)]
    return float(np.dot(log.candidate_propensity, star)) / len(log)
