from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mrlm.worlds.dirt import DirtSettings
from mrlm.worlds.memory import decision_ids
from mrlm.worlds.replayed import ReplayedWorld
from tests.latent_files import write_latent

Written = tuple[Path, dict[str, Any]]
Row = dict[str, Any]
NIGHTS = [str(date(2026, 11, 9) + timedelta(days=k)) for k in range(12)]
BROKEN = "2026-11-18"
WINDOWS = {"rating": 0, "relative_rating": 0, "delight": 1}


class Ingestion:
    """The log contract's categories, written again from its text, row by row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog: set[str] = set()
        self.keys: set[tuple[str, int]] = set()
        self.events: set[str] = set()
        self.night_of: dict[tuple[str, str], str] = {}
        self.clean: list[Row] = []
        self.clean_feedback: list[Row] = []

    def lines(self, table: str, night: str) -> list[str]:
        text = (self.folder / table / f"dt={night}" / "part-0.jsonl").read_text("utf-8")
        return text.split("\n")[:-1]

    def items(self, night: str) -> Counter[str]:
        found: Counter[str] = Counter()
        tonight: set[str] = set()
        for line in self.lines("items", night):
            row = _parse(line)
            if row is None:
                found["unparsable"] += 1
            elif not isinstance(row.get("attributes"), dict):
                found["wrong_type"] += 1
            elif row.get("item_id") is None:
                found["missing_field"] += 1
            elif row["item_id"] in tonight:
                found["duplicate"] += 1
            else:
                tonight.add(row["item_id"])
                found["clean"] += 1
        self.catalog |= tonight
        return found

    def impressions(self, night: str) -> Counter[str]:
        rows = [(_parse(line)) for line in self.lines("impressions", night)]
        requests: defaultdict[Any, set[Any]] = defaultdict(set)
        for row in rows:
            if row is not None:
                requests[row.get("user_id")].add(row.get("request_id"))
        found: Counter[str] = Counter()
        for row in rows:
            category = self._impression(row, night, requests)
            found[category] += 1
            if row is not None and category in ("clean", "late"):
                self.keys.add((row["request_id"], row["position"]))
            if row is not None and category == "clean":
                self.clean.append(row)
                self.night_of[row["request_id"], row["item_id"]] = row["ts"][:10]
        return found

    def _impression(self, row: Row | None, night: str, requests: dict[Any, set[Any]]) -> str:
        if row is None:
            return "unparsable"
        ts = _time(row.get("ts"))
        candidates = row.get("candidates")
        if (
            (row.get("ts") is not None and ts is None)
            or not isinstance(row.get("position"), int | None)
            or not isinstance(row.get("propensity"), float | None)
            or not isinstance(candidates, list | None)
        ):
            return "wrong_type"
        if any(row.get(f) is None for f in ("request_id", "ts", "item_id", "position")):
            return "missing_field"
        if row.get("user_id") is None:
            return "null_user"
        if row.get("propensity") is None:
            return "missing_propensity"
        if not 0 < row["propensity"] <= 1:
            return "propensity_out_of_range"
        if not candidates:
            return "no_candidates"
        if row["item_id"] not in candidates:
            return "shown_not_in_candidates"
        if not {row["item_id"], *candidates} <= self.catalog:
            return "unknown_item"
        assert ts is not None
        if ts.date() > date.fromisoformat(night):
            return "future_ts"
        if len(requests[row["user_id"]]) > 500:
            return "bot"
        if (row["request_id"], row["position"]) in self.keys:
            return "duplicate"
        return "late" if _nights(row["ts"][:10], night) > 2 else "clean"

    def feedback(self, night: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for line in self.lines("feedback", night):
            row = _parse(line)
            category = self._event(row, night)
            found[category] += 1
            if row is not None and category in ("clean", "late"):
                self.events.add(row["event_id"])
            if row is not None and category == "clean":
                self.clean_feedback.append(row)
                shown = self.night_of.get((row["request_id"], row["item_id"]))
                found["unattributed"] += shown is None
                stopped = shown == BROKEN != night
                found["unattributed_without_broken_night"] += shown is None or stopped
        return found

    def _event(self, row: Row | None, night: str) -> str:
        if row is None:
            return "unparsable"
        ts = _time(row.get("ts"))
        if (row.get("ts") is not None and ts is None) or not isinstance(
            row.get("value"), float | None
        ):
            return "wrong_type"
        fields = ("event_id", "request_id", "item_id", "ts", "event", "value")
        if any(row.get(f) is None for f in fields):
            return "missing_field"
        assert ts is not None
        if ts.date() > date.fromisoformat(night):
            return "future_ts"
        if row["event_id"] in self.events:
            return "duplicate"
        shown = self.night_of.get((row["request_id"], row["item_id"]))
        return "late" if shown and _nights(shown, night) > WINDOWS[row["event"]] else "clean"


def _parse(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _nights(earlier: str, later: str) -> int:
    return (date.fromisoformat(later) - date.fromisoformat(earlier)).days


@pytest.fixture(scope="module")
def ingested(written: Written) -> tuple[Ingestion, dict[str, dict[str, Counter[str]]]]:
    ingestion = Ingestion(written[0])
    counts = {
        night: {
            table: getattr(ingestion, table)(night)
            for table in ("items", "impressions", "feedback")
        }
        for night in NIGHTS
    }
    return ingestion, counts


def test_stated_counts_are_what_the_contract_finds(written: Written, ingested: Any) -> None:
    _, found = ingested
    assert list(written[1]["nights"]) == NIGHTS
    for night in NIGHTS:
        for table in ("items", "impressions", "feedback"):
            said = written[1]["nights"][night][table]
            seen = dict(found[night][table])
            for extra in ("unattributed", "unattributed_without_broken_night"):
                assert seen.pop(extra, 0) == said.get(extra, 0), (night, table, extra)
            kept = {c: seen.pop(c, 0) for c in ("clean", "duplicate", "late")}
            assert kept == {c: said[c] for c in kept}, (night, table)
            assert seen == said["quarantined"], (night, table)
            assert said["raw"] == sum(kept.values()) + sum(seen.values())


def test_every_kind_of_dirt_is_there_and_small(written: Written) -> None:
    nights = written[1]["nights"]
    reasons = set().union(*(n["impressions"]["quarantined"] for n in nights.values()))
    assert reasons == {
        "unparsable", "wrong_type", "missing_field", "null_user", "missing_propensity",
        "propensity_out_of_range", "no_candidates", "shown_not_in_candidates", "unknown_item",
        "future_ts", "bot",
    }  # fmt: skip
    assert {n for n in NIGHTS if "bot" in nights[n]["impressions"]["quarantined"]} == {
        "2026-11-12",
        "2026-11-17",
    }
    for night in NIGHTS:
        rows = nights[night]["impressions"]
        other = rows["raw"] - rows["clean"] - rows["quarantined"].get("bot", 0)
        assert 0 < other < 0.02 * rows["raw"]
        feedback = nights[night]["feedback"]
        assert 0 < feedback["raw"] - feedback["clean"] < 0.02 * feedback["raw"]
    assert sum(nights[n]["impressions"]["late"] for n in NIGHTS) > 20
    assert sum(nights[n]["impressions"]["delayed_from_earlier_night"] for n in NIGHTS) > 20
    assert sum(nights[n]["feedback"]["late"] for n in NIGHTS) > 20


def test_clean_rows_are_the_true_log_less_the_lost(
    world: ReplayedWorld, written: Written, ingested: Any
) -> None:
    ingestion, _ = ingested
    rows = {f"{r['request_id']}#{r['position']}": r for r in ingestion.clean}
    assert len(rows) == len(ingestion.clean)
    ids = decision_ids(world)
    lost = sum(n["lost_slots"] for n in written[1]["nights"].values())
    assert set(rows) <= set(ids)
    assert len(ids) - len(rows) == lost > 0
    items = world.ratings.catalog.item_id[world.ratings.item[world.shown]]
    ts = np.datetime_as_string(world.ts, unit="ms")
    for d in range(0, len(world), 17):
        row = rows.get(ids[d])
        if row is None:
            continue
        assert row["item_id"] == items[d]
        assert row["ts"] == f"{ts[d]}Z"
        factor = 0.5 if world.night_name(world.night[d]) == BROKEN else 1.0
        assert row["propensity"] == world.shown_propensity[d] * factor
        assert row["policy_id"] == "popularity-softmax", "a retry's copy never wins"


def test_truth_equals_the_feedback_of_what_was_shown(written: Written, ingested: Any) -> None:
    ingestion, _ = ingested
    shown = {
        (r["request_id"], r["item_id"]): f"{r['request_id']}#{r['position']}"
        for r in ingestion.clean
    }
    said: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for event in ingestion.clean_feedback:
        decision = shown.get((event["request_id"], event["item_id"]))
        if decision:
            said[decision][event["event"]] = event["value"]
    item_of = {d: item for (_, item), d in shown.items()}
    checked = 0
    for night in NIGHTS:
        truth = pq.read_table(written[0] / "truth" / f"dt={night}.parquet").to_pylist()
        for row in truth:
            if row["decision_id"] not in item_of:
                continue
            place = row["candidates"].index(item_of[row["decision_id"]])
            expected = {e: row[e][place] for e in WINDOWS}
            if night == NIGHTS[-1]:
                del expected["delight"]
            assert said[row["decision_id"]] == expected
            checked += 1
    assert checked == len(ingestion.clean)


def test_the_truth_has_every_decision(world: ReplayedWorld, written: Written) -> None:
    files = sorted((written[0] / "truth").iterdir())
    found = [d for f in files for d in pq.read_table(f)["decision_id"].to_pylist()]
    assert sorted(found) == sorted(decision_ids(world))


def test_only_the_broken_night_has_wrong_propensities(ingested: Any) -> None:
    ingestion, _ = ingested
    ratio: defaultdict[str, list[float]] = defaultdict(list)
    for row in ingestion.clean:
        night = row["ts"][:10]
        ratio[night].append(1 / row["propensity"] / len(row["candidates"]))
        total = sum(row["candidate_propensities"])
        assert abs(total - (0.5 if night == BROKEN else 1.0)) < 1e-9
        place = row["candidates"].index(row["item_id"])
        assert row["candidate_propensities"][place] == row["propensity"]
    for night in NIGHTS:
        assert abs(np.mean(ratio[night]) - (2.0 if night == BROKEN else 1.0)) < 0.06


def test_later_nights_bring_new_and_changed_items(written: Written) -> None:
    nights = written[1]["nights"]
    assert all(nights[n]["items"]["new"] > 100 for n in NIGHTS)
    assert all(nights[n]["items"]["changed"] == 5 for n in NIGHTS[2:])
    assert sum(nights[n]["items"]["new"] for n in NIGHTS) == 9_066


def test_broken_lines_do_not_break_the_count_of_lines(written: Written) -> None:
    for night in NIGHTS:
        for table in ("items", "impressions", "feedback"):
            path = written[0] / table / f"dt={night}" / "part-0.jsonl"
            assert path.read_bytes().count(b"\n") == written[1]["nights"][night][table]["raw"]


def test_the_description_is_written_last_and_returned(written: Written) -> None:
    assert json.loads((written[0] / "world.json").read_text()) == written[1]


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    hashes = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_latent(tmp_path / name, users=60, nights=5, seed=seed)
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        digest = hashlib.sha256()
        for path in files:
            digest.update(str(path.relative_to(tmp_path / name)).encode() + path.read_bytes())
        hashes.append(digest.hexdigest())
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_world_without_dirt(tmp_path: Path) -> None:
    done = []
    world = write_latent(
        tmp_path,
        users=40,
        nights=3,
        dirt_settings=DirtSettings.none(),
        progress=lambda k, n: done.append((k, n)),
    )
    assert done == [(1, 3), (2, 3), (3, 3)]
    for night in world["nights"].values():
        for table in ("items", "impressions", "feedback"):
            assert night[table]["raw"] == night[table]["clean"]
        assert night["feedback"]["unattributed"] == 0
    assert world["slots"] == 40 * 3 * 4
