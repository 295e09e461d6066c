"""Faults of rewards and of times in raw files are named in the first line of the summary.

Whole nights: raw rows, ingestion, validation. Sizes are stated before the night is judged: of a
loss by the limit that a clean night's page documents, of the others by the share that the settings
allow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import Objective
from mrlm.report.night_page import first_line
from pipelines.expectations.event_delivery import EventCounts
from pipelines.expectations.run import validate_night
from pipelines.settings.input_tables import Inputs, InputTable
from pipelines.settings.model import Settings
from pipelines.settings.users_past import State
from spark_jobs import ingest
from spark_jobs.ingestion.ingest_job import IngestJob, Previous
from spark_jobs.reading.table_files import TableInput

pytestmark = [pytest.mark.spark, pytest.mark.long]
FIRST, TRAILING = date(2026, 11, 9), 7
Row = dict[str, Any]

SETTINGS = Settings(
    inputs=Inputs(
        impressions=InputTable(path="i"), feedback=InputTable(path="f"), items=InputTable(path="m")
    ),
    state=State(history_objective="click"),
    objectives=[
        Objective("click", "feedback", "north_star", event="click"),
        Objective("buy", "feedback", event="buy"),
    ],
)
LIMITS = SETTINGS.validation


@dataclass(frozen=True)
class World:
    """Sizes and rates of a log."""

    slots: int
    items: int
    candidates: int
    positions: int
    click: float
    buy: float


SMALL = World(2_000, 60, 8, 4, 0.3, 0.1)
LARGE = World(4_000, 300, 15, 6, 0.15, 0.05)


@dataclass
class Raw:
    """What is delivered of one night."""

    impressions: list[Row]
    feedback: list[Row | str]
    sent: dict[str, int] | None = None
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(77))

    def events(self, name: str) -> list[Row]:
        return [e for e in self.feedback if isinstance(e, dict) and e["event"] == name]

    def without(self, gone: Callable[[Row], bool]) -> None:
        """Take clicks away."""
        lost = {id(e) for e in self.events("click") if gone(e)}
        self.feedback = [e for e in self.feedback if id(e) not in lost]


def delivered(world: World, night: date, seed: int) -> Raw:
    """A clean night: rates, hours and items vary as between real nights."""
    rng = np.random.default_rng([seed, world.slots])
    own = np.random.default_rng(world.items)
    taste, appeal = own.gumbel(size=world.items), np.exp(own.normal(0, 0.4, world.items))
    profile = np.exp(1.2 * np.sin((np.arange(24) - 9) / 12 * np.pi) + rng.normal(0, 0.1, 24))
    slots = int(world.slots * np.exp(rng.normal(0, 0.05)))
    common = np.exp(rng.normal(0, 0.04))
    shown: list[Row] = []
    feedback: list[Row | str] = []
    for k in range(slots):
        if k % world.positions == 0:
            hour = int(rng.choice(24, p=profile / profile.sum()))
            minute, second = rng.integers(0, 50), rng.integers(0, 60)
            at = datetime(night.year, night.month, night.day, hour, minute, second, tzinfo=UTC)
        pool = rng.choice(world.items, world.candidates, replace=False)
        weight = np.exp(0.5 * taste[pool])
        chance = weight / weight.sum()
        a = int(rng.choice(world.candidates, p=chance))
        request = f"{night}-{k // world.positions}"
        shown.append(
            {
                "request_id": request,
                "ts": at.isoformat(),
                "user_id": f"user-{k // world.positions % 400}",
                "position": k % world.positions + 1,
                "item_id": f"m{pool[a]}",
                "propensity": chance[a],
                "candidates": [f"m{i}" for i in pool],
                "candidate_propensities": chance.tolist(),
            }
        )
        for event, rate in (("click", world.click), ("buy", world.buy)):
            if rng.random() < min(rate * common * appeal[pool[a]], 0.9):
                feedback.append(
                    {
                        "event_id": f"{night}-{event}-{k}",
                        "request_id": request,
                        "item_id": f"m{pool[a]}",
                        "ts": (at + timedelta(minutes=5)).isoformat(),
                        "event": event,
                        "value": 1.0,
                    }
                )
    return Raw(shown, feedback)


# --- faults -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """A fault.

    Attributes:
        name: family and fault.
        plant: changes the night; ``limit`` is the loss that the clean night's page documents.
        told: what the first line must say.
        hidden: whether rewards are missing, so that none of them may pass for known.
    """

    name: str
    plant: Callable[[Raw, float], None]
    told: str
    hidden: bool = True


def lost_at_random(raw: Raw, limit: float) -> None:
    share = 2 * limit + 0.02
    assert share < 1
    raw.without(lambda e: raw.rng.random() < share)


def lost_hours(raw: Raw, limit: float) -> None:
    """The busiest hours, until they hold twice the documented loss."""
    hours = [e["ts"][11:13] for e in raw.events("click")]
    gone: set[str] = set()
    for hour in sorted(set(hours), key=hours.count, reverse=True):
        if sum(h in gone for h in hours) >= 2 * limit * len(hours) and len(gone) >= 2:
            break
        gone.add(hour)
    raw.without(lambda e: e["ts"][11:13] in gone)


def lost_items(raw: Raw, limit: float) -> None:
    items = sorted({e["item_id"] for e in raw.events("click")})
    gone: set[str] = set()
    for item in raw.rng.permutation(items):
        if sum(e["item_id"] in gone for e in raw.events("click")) >= (
            2 * limit * len(raw.events("click"))
        ):
            break
        gone.add(str(item))
    raw.without(lambda e: e["item_id"] in gone)


def joins_nothing(raw: Raw, limit: float) -> None:
    for event in raw.events("click") + raw.events("buy"):
        if raw.rng.random() < 2 * LIMITS.unattributed_share + 0.02:
            event["request_id"] = "x" + event["request_id"]


def all_joins_nothing(raw: Raw, limit: float) -> None:
    for event in raw.events("click") + raw.events("buy"):
        event["item_id"] = event["item_id"].upper()


def wrong_type(raw: Raw, limit: float) -> None:
    for event in raw.events("click"):
        if raw.rng.random() < max(2 * LIMITS.doubtful_share, 0.3):
            event["value"] = "much"


def broken_lines(raw: Raw, limit: float) -> None:
    clicks = {id(e) for e in raw.events("click") if raw.rng.random() < 2 * limit + 0.05}
    raw.feedback = [
        json.dumps(e)[: len(json.dumps(e)) // 2] if id(e) in clicks else e for e in raw.feedback
    ]


def renamed(raw: Raw, limit: float) -> None:
    for event in raw.events("click"):
        event["event"] = "Click"


def sent_more(raw: Raw, limit: float) -> None:
    raw.sent = {n: len(raw.events(n)) for n in ("click", "buy")}
    raw.without(lambda e: raw.rng.random() < 2 * LIMITS.doubtful_share + 0.02)


def moved(hours: float, *tables: str) -> Callable[[Raw, float], None]:
    """Times of the tables by so many hours."""

    def plant(raw: Raw, limit: float) -> None:
        for table in tables:
            for row in getattr(raw, table):
                row["ts"] = (datetime.fromisoformat(row["ts"]) + timedelta(hours=hours)).isoformat()

    return plant


def some_moved(days: int, share: float, *tables: str) -> Callable[[Raw, float], None]:
    """A share of the requests by so many days."""

    def plant(raw: Raw, limit: float) -> None:
        requests = sorted({r["request_id"] for r in raw.impressions})
        chosen = {r for r in requests if raw.rng.random() < share}
        for table in tables:
            for row in getattr(raw, table):
                if row["request_id"] in chosen:
                    at = datetime.fromisoformat(row["ts"]) + timedelta(days=days)
                    row["ts"] = at.isoformat()

    return plant


def all_lost(raw: Raw, limit: float) -> None:
    raw.without(lambda e: True)


BOTH = ("impressions", "feedback")
FAULTS = [
    Planted("rewards: all of an event", all_lost, r"all click events arrived"),
    Planted("rewards: at random", lost_at_random, r"all click events arrived"),
    Planted("rewards: hours", lost_hours, r"all click events arrived.*hours"),
    Planted("rewards: items", lost_items, r"all click events arrived"),
    Planted("rewards: some join nothing", joins_nothing, r"feedback of known impressions"),
    Planted("rewards: all join nothing", all_joins_nothing, r"feedback of known impressions"),
    Planted("rewards: a wrong type", wrong_type, r"readable click events|feedback in quarantine"),
    Planted("rewards: broken lines", broken_lines, r"feedback in quarantine: saw"),
    Planted("rewards: another name", renamed, r"declared event: saw"),
    Planted("rewards: fewer than were sent", sent_more, r"readable click events"),
    Planted("time: days of +08:00", moved(-8, *BOTH), r"shifted by about \+8 h", hidden=False),
    Planted("time: days of -05:00", moved(5, *BOTH), r"shifted by about -5 h", hidden=False),
    Planted("time: the day after", moved(-24, *BOTH), r"named by another day", hidden=False),
    Planted("time: one table", moved(-6, "impressions"), r"shifted by about \+6 h", hidden=False),
    Planted(
        "time: late",
        some_moved(-5, 2 * LIMITS.late_share + 0.02, *BOTH),
        r"late impressions",
        hidden=False,
    ),
    Planted(
        "time: from the future",
        some_moved(3, 2 * LIMITS.future_share + 0.02, *BOTH),
        r"impressions from the future",
        hidden=False,
    ),
]


@dataclass
class Site:
    """Trailing nights that were ingested and judged, and what judges the next one."""

    spark: Any
    folder: Path
    world: World
    statistics: list[dict[str, Any]] = field(default_factory=list)
    events: list[EventCounts] = field(default_factory=list)
    nights: list[str] = field(default_factory=list)

    def job(self, night: str, place: Path, raw: Raw, first: bool) -> IngestJob:
        items = [{"item_id": f"m{i}", "text": f"Item {i}"} for i in range(self.world.items)]
        tables: dict[str, list[Any]] = {
            "impressions": raw.impressions,
            "feedback": raw.feedback,
            "items": items if first else [],
        }
        found = {}
        for table, rows in tables.items():
            path = place / table / "part.jsonl"
            path.parent.mkdir(parents=True)
            lines = [r if isinstance(r, str) else json.dumps(r) for r in rows]
            path.write_text("".join(f"{line}\n" for line in lines))
            found[table] = TableInput((str(path.parent),) if rows else ())
        return IngestJob(
            night,
            found,
            str(place / "out"),
            previous=tuple(Previous(n, str(self.folder / n / "out")) for n in self.nights),
            windows={"click": 0, "buy": 0},
        )

    def judge(self, night: str, place: Path, raw: Raw) -> dict[str, Any]:
        out = place / "verdict"
        out.mkdir()
        return validate_night(
            self.spark,
            place / "out",
            night,
            SETTINGS,
            self.statistics,
            self.events,
            out,
            raw.sent,
        )

    def verdict(self, night: str, place: Path, raw: Raw) -> dict[str, Any]:
        """Ingest and judge one night."""
        ingest.run(self.spark, self.job(night, place, raw, first=not self.nights))
        return self.judge(night, place, raw)


@pytest.fixture(scope="module", params=[SMALL, LARGE], ids=["small", "large"])
def site(
    request: pytest.FixtureRequest, spark: Any, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """Seven clean nights, none of them stopped."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MRLM_USER_KEY", "a key for the tests")
    made = Site(spark, tmp_path_factory.mktemp("site"), request.param)
    jobs, raws = [], {}
    for n in range(TRAILING):
        night = (FIRST + timedelta(days=n)).isoformat()
        raws[night] = delivered(made.world, FIRST + timedelta(days=n), 100 + n)
        jobs.append(made.job(night, made.folder / night, raws[night], first=n == 0))
        made.nights.append(night)
    ingest.run_together(spark, jobs)
    for night, raw in raws.items():
        place = made.folder / night
        verdict = made.judge(night, place, raw)
        assert verdict["verdict"] == "passed", verdict["failed"]
        made.statistics.append(verdict["statistics"])
        by_item = pq.read_table(place / "verdict/events_by_item.parquet")
        made.events.append(EventCounts(by_item, verdict["events_by_hour"]))
    yield made
    patch.undo()


NIGHT = FIRST + timedelta(days=TRAILING)


@pytest.fixture(scope="module")
def limit(site: Site, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The loss of clicks that the page of a clean night documents."""
    raw = delivered(site.world, NIGHT, 7)
    verdict = site.verdict(NIGHT.isoformat(), tmp_path_factory.mktemp("clean"), raw)
    assert verdict["verdict"] == "passed"
    assert verdict["deliveries"]["click"]["state"] == "whole"
    found: float = verdict["deliveries"]["click"]["smallest_loss"]
    return found


@pytest.mark.parametrize("planted", FAULTS, ids=lambda f: f.name)
def test_a_planted_fault_is_named_first(
    planted: Planted, site: Site, limit: float, tmp_path: Path
) -> None:
    raw = delivered(site.world, NIGHT, 7)
    planted.plant(raw, limit)
    verdict = site.verdict(NIGHT.isoformat(), tmp_path, replace(raw))
    failures = [*verdict["failed"], *verdict["warnings"]]
    line = first_line(NIGHT.isoformat(), failures)
    assert re.search(planted.told, line), line
    if planted.hidden:
        # No reward that was not delivered passes for a known 0.
        stopped = verdict["tables"]["feedback"] == "stopped"
        assert stopped or verdict["deliveries"]["click"]["state"] == "unknown"
