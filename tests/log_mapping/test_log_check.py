"""Made logs of many shapes: what the check takes them for, what it misses, what it says."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.log_mapping.log_check import LogCheck, check_log
from pipelines.care.first_settings import first_settings
from pipelines.settings.load import load_settings
from pipelines.settings.model import Settings

Row = dict[str, Any]


def csv_text(rows: Sequence[Row], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def json_text(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def proposed(found: LogCheck, folder: Path) -> Settings:
    """The settings file that is proposed, as the program reads it."""
    path = folder / "mrlm.toml"
    path.write_text(first_settings(found, folder))
    return load_settings(path)


def said(found: LogCheck, kind: str = "") -> str:
    return "\n".join(f.text for f in found.findings if kind in ("", f.kind))


def test_a_log_of_events_alone_is_a_history_and_no_night(tmp_path: Path) -> None:
    kinds = ["VIEW", "LIKE", "BOOKMARK", "FOLLOW", "COMMENT CREATED"]
    rng = np.random.default_rng(1)
    rows = [
        {
            "timestamp": 1465413032 + 60 * i,
            "eventType": kinds[0 if i % 3 else i % 5],
            "contentId": int(rng.integers(-(2**62), 2**62)) if i % 7 == 0 else 77,
            "personId": int(rng.integers(-9, 9)) * 10**17,
            "sessionId": int(rng.integers(0, 10**15)),
            "userAgent": "Mozilla/5.0 (X11, like)" if i % 2 else "",
            "userRegion": "NY" if i % 2 else "",
        }
        for i in range(600)
    ]
    log = tmp_path / "log"
    log.mkdir()
    with zipfile.ZipFile(log / "interactions.csv.zip", "w") as archive:
        archive.writestr("interactions.csv", csv_text(rows))
    found = check_log(log)
    assert set(found.tables) == {"events"}
    columns = found.tables["events"].columns
    assert (columns["user_id"], columns["item_id"]) == ("personId", "contentId")
    assert (columns["ts"], columns["event"]) == ("timestamp", "eventType")
    assert set(found.event_kinds) == set(kinds)
    assert not found.evaluable
    for what in ("what was shown", "propensities", "candidates", "what came of a show", "items"):
        assert what in said(found, "missing")
    assert "5 kinds of events go into the user's history: VIEW" in said(found)
    assert "unpack it" in said(found, "wrong")
    settings = proposed(found, tmp_path)
    assert {o.event for o in settings.objectives} == set(kinds)
    history = settings.inputs.history
    assert history is not None
    assert history.columns["user_id"] == "personId"
    assert history.columns["value"] == "=1"
    assert history.whole


def shows(n: int = 400, seed: int = 2) -> list[Row]:
    """Impressions whose propensities are true, in the contract's names."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        pool = [f"sku-{k}" for k in rng.choice(30, 5, replace=False)]
        chances = rng.dirichlet(np.ones(5) * 3).round(6)
        chances[-1] = round(1 - chances[:-1].sum(), 6)
        at = int(rng.choice(5, p=chances / chances.sum()))
        rows.append(
            {
                "request_id": f"r{i}",
                "ts": f"2026-11-{10 + i % 4:02d}T10:{i % 60:02d}:00Z",
                "user_id": f"u{i % 40}",
                "position": 1,
                "item_id": pool[at],
                "propensity": float(chances[at]),
                "candidates": pool,
                "candidate_propensities": chances.tolist(),
            }
        )
    return rows


def events_of(rows: Sequence[Row], days: int = 0) -> list[Row]:
    return [
        {
            "event_id": f"e{i}",
            "request_id": r["request_id"],
            "item_id": r["item_id"],
            "ts": f"2026-11-{int(r['ts'][8:10]) + days:02d}T12:00:00Z",
            "event": "add_to_cart" if i % 3 else "purchase",
            "value": 1 if i % 3 else 9.5 + i,
        }
        for i, r in enumerate(rows)
        if i % 2
    ]


def items_of(n: int = 30) -> list[Row]:
    return [
        {
            "item_id": f"sku-{k}",
            "text": f"Blue tea number {k}",
            "category": "tea",
            "weight": 5.5 + k,
        }
        for k in range(n)
    ]


def by_night(folder: Path, table: str, rows: Sequence[Row], form: str = "{}/part-0.jsonl") -> None:
    for day in range(10, 14):
        of = [r for r in rows if r["ts"][8:10] == str(day)]
        put(folder / table / form.format(f"2026-11-{day}"), json_text(of))


def test_the_contracts_own_form_needs_no_mapping(tmp_path: Path) -> None:
    rows = shows()
    by_night(tmp_path / "log", "impressions", rows)
    by_night(tmp_path / "log", "feedback", events_of(rows))
    # Each night brings all items again.
    for day in range(10, 14):
        put(tmp_path / "log" / "items" / f"2026-11-{day}" / "part-0.jsonl", json_text(items_of()))
    found = check_log(tmp_path / "log")
    assert found.evaluable, said(found)
    assert not said(found, "missing")
    assert not said(found, "wrong")
    assert "they agree" in said(found)
    assert found.nights == ("2026-11-10", "2026-11-11", "2026-11-12", "2026-11-13")
    settings = proposed(found, tmp_path)
    assert settings.inputs.impressions.path == str(tmp_path / "log/impressions/{night}")
    for table in ("impressions", "feedback"):
        assert settings.inputs.table(table).columns == {}
    assert settings.inputs.text_fields == ["text"]
    assert settings.inputs.attribute_fields == ["weight"]
    star = next(o for o in settings.objectives if o.role == "north_star")
    assert (star.event, star.transform, star.missing) == ("purchase", "value", 0.0)
    assert settings.split.tune_nights == 1


def test_an_event_that_should_be_rare_is_proposed_as_one(tmp_path: Path) -> None:
    rows = shows()
    by_night(tmp_path / "log", "impressions", rows)
    events = [
        {**e, "event": "complaint" if i % 5 == 0 else e["event"]}
        for i, e in enumerate(events_of(rows))
    ]
    by_night(tmp_path / "log", "feedback", events)
    settings = proposed(check_log(tmp_path / "log"), tmp_path)
    found = next(o for o in settings.objectives if o.event == "complaint")
    assert (found.name, found.transform, found.missing) == ("no_complaint", "none", 1.0)
    assert [o.missing for o in settings.objectives if o is not found] == [0.0, 0.0]


def test_other_names_forms_and_places_are_told_by_their_values(tmp_path: Path) -> None:
    """Obscure names, CSV with semicolons, packed, epochs, dates without dashes."""
    rows = shows()
    log = tmp_path / "log"
    for day in range(10, 14):
        of = [r for r in rows if r["ts"][8:10] == str(day)]
        renamed = [
            {
                "imp": r["request_id"],
                "when": int(np.datetime64(r["ts"][:-1], "ms").astype(int)),
                "visitorKey": r["user_id"],
                "rank": 0,
                "sku": r["item_id"],
                "x": r["propensity"],
                "pool": "|".join(r["candidates"]),
                "dist": "|".join(map(str, r["candidate_propensities"])),
            }
            for r in of
        ]
        place = log / "shown" / f"dt=202611{day}" / "log.csv.gz"
        place.parent.mkdir(parents=True)
        place.write_bytes(gzip.compress(csv_text(renamed, ";").encode()))
    table = pa.Table.from_pylist(
        [
            {"imp": r["request_id"], "sku": r["item_id"], "stamp": r["ts"], "kind": r["event"]}
            for r in events_of(rows, 1)
        ]
    )
    (log / "came").mkdir()
    pq.write_table(table, log / "came" / "events.parquet")
    put(
        log / "catalog.csv",
        csv_text([{"sku": r["item_id"], "name": r["text"]} for r in items_of()]),
    )
    found = check_log(log)
    assert found.evaluable, said(found)
    settings = proposed(found, tmp_path)
    shown = settings.inputs.impressions
    assert shown.path == str(log / "shown/dt={night:%Y%m%d}/log.csv.gz")
    assert (shown.format, shown.delimiter) == ("csv", ";")
    assert shown.columns == {
        "request_id": "imp",
        "ts": "when",
        "user_id": "visitorKey",
        "position": "rank + 1",
        "item_id": "sku",
        "propensity": "x",
        "candidates": "pool",
        "candidate_propensities": "dist",
    }
    fed = settings.inputs.feedback
    assert fed.format == "parquet"
    assert fed.columns["event"] == "kind"
    assert fed.columns["value"] == "=1"
    assert fed.columns["event_id"] == ["imp", "sku", "kind", "stamp"]
    assert settings.inputs.items.columns == {"item_id": "sku", "name": "name"} or (
        settings.inputs.items.columns == {"item_id": "sku"}
    )
    assert settings.inputs.text_fields == ["name"]
    assert {o.window_nights for o in settings.objectives} == {1}
    assert "counts milliseconds" in said(found)


def test_one_nested_row_a_request_is_unrolled(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = []
    for i in range(300):
        pool = [f"film-{k}" for k in rng.choice(20, 4, replace=False)]
        slots = [
            {
                "film": pool[k],
                "prob": 0.25 if k == 0 else round(1 / 3, 4),
                "eligible": pool[k:] + pool[:k],
                "clicked": bool(rng.random() < 0.2),
            }
            for k in range(2)
        ]
        row = {"requestId": f"q{i}", "time": f"2026-11-10 10:{i % 60:02d}:00", "slots": slots}
        rows.append(row | {"viewer": {"id": f"v{i % 50}"}})
    put(tmp_path / "log.jsonl", json_text(rows))
    found = check_log(tmp_path / "log.jsonl")
    shown = found.tables["impressions"]
    assert shown.rows == "slots"
    assert shown.columns["item_id"] == "slots[].film"
    assert shown.columns["propensity"] == "slots[].prob"
    assert shown.columns["candidates"] == "slots[].eligible"
    assert shown.columns["position"] == "slots[#]"
    assert (shown.columns["request_id"], shown.columns["user_id"]) == ("requestId", "viewer.id")
    assert found.tables["feedback"].events == {"clicked": "slots[].clicked"}
    assert found.evaluable, said(found)
    assert "times without an offset" in said(found, "wrong")
    settings = proposed(found, tmp_path)
    assert settings.inputs.feedback.rows == "slots"
    assert settings.ingestion.time_zone == "UTC"


def test_an_item_that_is_a_number_among_candidates(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = [
        {
            "uuid": f"d{i}",
            "logged_at": f"2026-11-10T10:00:{i % 60:02d}+00:00",
            "uid": f"u{i % 30}",
            "arms": [{"name": f"arm{k}", "features": {"x": k + 9}} for k in range(3)],
            "chosen_arm": int(rng.integers(0, 3)),
            "p": 0.3333,
            "reward": float(rng.random() < 0.5) * 2.5,
        }
        for i in range(300)
    ]
    put(tmp_path / "log.jsonl", json_text(rows))
    found = check_log(tmp_path)
    shown = found.tables["impressions"]
    assert shown.columns["item_id"] == "arms[chosen_arm].name"
    assert shown.columns["candidates"] == "arms[*].name"
    assert found.tables["feedback"].events == {"reward": "reward"}
    assert found.tables["items"].rows == "arms"
    assert found.evaluable, said(found)
    proposed(found, tmp_path)


def test_what_a_log_lacks_is_said(tmp_path: Path) -> None:
    rows = [
        {k: r[k] for k in ("request_id", "ts", "user_id", "position", "item_id")} for r in shows()
    ]
    put(tmp_path / "impressions.jsonl", json_text(rows))
    put(tmp_path / "clicks.jsonl", json_text(events_of(rows)))
    found = check_log(tmp_path)
    assert "no propensity" in said(found, "missing")
    assert "each item that the impressions name" in said(found, "missing")
    assert "every item of the catalogue" in said(found, "missing")
    settings = proposed(found, tmp_path)
    assert settings.ingestion.propensity == "estimated"
    assert settings.inputs.candidates == "catalog"


def _broken(change: dict[str, Any]) -> list[Row]:
    return [
        r | {k: v(i, r) if callable(v) else v for k, v in change.items()}
        for i, r in enumerate(shows())
    ]


@pytest.mark.parametrize(
    ("change", "text", "stops"),
    [
        ({"propensity": 1.0, "candidate_propensities": None}, "every propensity is 1", True),
        ({"propensity": lambda i, r: r["propensity"] / 9}, "they should agree", False),
        ({"propensity": lambda i, r: 100 * r["propensity"]}, "these look like percentages", False),
        ({"candidate_propensities": [0.5] * 5}, "do not sum to 1", False),
        (
            {"item_id": lambda i, r: "other" if i % 10 == 0 else r["item_id"]},
            "is no candidate",
            False,
        ),
        ({"request_id": "same"}, "have the request and position of another", False),
        ({"ts": None}, "no time", True),
    ],
)
def test_what_looks_wrong_is_said(
    tmp_path: Path, change: dict[str, Any], text: str, stops: bool
) -> None:
    rows = _broken(change)
    put(tmp_path / "impressions.jsonl", json_text(rows))
    put(tmp_path / "feedback.jsonl", json_text(events_of(shows())))
    put(
        tmp_path / "items.jsonl", json_text([*items_of(), {"item_id": "other", "text": "An other"}])
    )
    found = check_log(tmp_path)
    assert text in said(found)
    assert any(f.stops for f in found.findings if text in f.text) == stops
    proposed(found, tmp_path)


def test_ids_that_join_nothing_are_said(tmp_path: Path) -> None:
    rows = shows()
    put(tmp_path / "impressions.jsonl", json_text(rows))
    put(tmp_path / "items.jsonl", json_text(items_of()))
    strange = [e | {"request_id": f"x{e['request_id']}"} for e in events_of(rows)]
    put(tmp_path / "feedback.jsonl", json_text(strange))
    found = check_log(tmp_path)
    assert "no request id of the feedback is one of the impressions" in said(found, "wrong")
    assert not found.evaluable
    strange = [e | {"item_id": e["item_id"].replace("-", "_")} for e in events_of(rows)]
    put(tmp_path / "feedback.jsonl", json_text(strange))
    assert "never an item that was shown there" in said(check_log(tmp_path), "wrong")


def test_feedback_that_names_its_request_alone(tmp_path: Path) -> None:
    rows = shows()
    events = [{k: v for k, v in e.items() if k != "item_id"} for e in events_of(rows)]
    put(tmp_path / "impressions.jsonl", json_text(rows))
    put(tmp_path / "feedback.jsonl", json_text(events))
    put(tmp_path / "items.jsonl", json_text(items_of()))
    found = check_log(tmp_path)
    assert found.evaluable, said(found)
    assert "the only slot of its request" in said(found, "note")
    assert proposed(found, tmp_path).inputs.feedback_names == "request"
    twice = [*rows, *(r | {"position": 2} for r in rows)]
    put(tmp_path / "impressions.jsonl", json_text(twice))
    found = check_log(tmp_path)
    assert "requests show several items" in said(found, "missing")
    assert not found.evaluable


def test_files_that_are_no_log_are_told_and_do_no_harm(tmp_path: Path) -> None:
    rows = shows(50)
    put(tmp_path / "impressions.jsonl", json_text(rows) + "{broken\n")
    put(tmp_path / "feedback.jsonl", json_text(events_of(rows)))
    put(tmp_path / "items.jsonl", json_text(items_of()))
    put(tmp_path / "empty.csv", "")
    put(tmp_path / "array.json", json.dumps(rows))
    put(tmp_path / "notes.txt", "words and nothing else\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\xff\xfe")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1half")
    (tmp_path / "cut.gz").write_bytes(b"\x1f\x8b\x08half")
    found = check_log(tmp_path)
    assert found.evaluable, said(found)
    for what in (
        "array.json is one JSON array",
        "empty.csv is empty",
        "cut.parquet cannot be read",
    ):
        assert what in said(found)
    assert "1 of the sampled rows cannot be read" in said(found, "wrong")


DSJSON = {
    "_label_cost": -1.0,
    "_label_probability": 0.5,
    "_label_Action": 2,
    "_labelIndex": 1,
    "EventId": "e1",
    "Timestamp": "2019-11-24T00:00:00.6480000Z",
    "Version": "1",
    "a": [2, 1],
    "p": [0.5, 0.5],
    "c": {"User": {"age": 3}, "_multi": [{"_tag": "tea"}, {"_tag": "jam"}]},
}


def test_known_formats_are_known(tmp_path: Path) -> None:
    exported = DSJSON | {"o": [{"v": 1.0}], "VWState": {"m": "model/1"}}
    put(tmp_path / "vw" / "a.dsjson", json_text([DSJSON] * 3))
    put(tmp_path / "personalizer" / "2019" / "11" / "24_0.json", json_text([exported] * 3))
    found = check_log(tmp_path / "vw")
    assert found.tables["impressions"].format_name == "VW dsjson"
    assert found.tables["impressions"].columns["item_id"] == "c._multi[a[0]-1]._tag"
    assert found.tables["feedback"].events == {"reward": "-_label_cost"}
    assert found.evaluable, said(found)
    proposed(found, tmp_path)
    found = check_log(tmp_path / "personalizer")
    shown = found.tables["impressions"]
    assert shown.format_name == "Personalizer export (VW dsjson)"
    assert shown.columns["policy_id"] == "VWState.m"
    assert shown.sampled.pattern.endswith("{night:%Y/%m/%d}_0.json")
    proposed(found, tmp_path)


def test_the_raw_form_of_the_open_bandit_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows = [
        {
            "": i,
            "timestamp": f"2019-11-{24 + i % 3} 10:{i % 60:02d}:00.{i:06d}+00:00",
            "item_id": int(rng.integers(0, 8)),
            "position": int(rng.integers(1, 4)),
            "click": int(rng.random() < 0.05),
            "propensity_score": 0.125,
            **{f"user_feature_{k}": f"{rng.integers(0, 3):032x}" for k in range(3)},
            **{f"user-item_affinity_{k}": 0.0 for k in range(2)},
        }
        for i in range(600)
    ]
    put(tmp_path / "log" / "all.csv", csv_text(rows))
    context = [
        {"": k, "item_id": k, "item_feature_0": k / 7, "item_feature_1": "ab12"} for k in range(8)
    ]
    put(tmp_path / "log" / "item_context.csv", csv_text(context))
    found = check_log(tmp_path / "log")
    assert found.evaluable, said(found)
    assert "1/propensity is 8.0 and the number of items is 8.0" in said(found, "note")
    settings = proposed(found, tmp_path)
    assert settings.inputs.candidates == "catalog"
    assert settings.inputs.impressions.columns["propensity"] == "propensity_score"
    assert settings.inputs.impressions.columns["user_id"] == [f"user_feature_{k}" for k in range(3)]
    assert settings.inputs.feedback.events == {"click": "click"}
    assert settings.embedding.encoder == "hashing"
    assert settings.ingestion.bot_requests_per_night > 500


def test_items_without_text_are_known_by_their_ids(tmp_path: Path) -> None:
    rows = shows()
    put(tmp_path / "impressions.jsonl", json_text(rows))
    put(tmp_path / "feedback.jsonl", json_text(events_of(rows)))
    put(
        tmp_path / "items.csv", csv_text([{"sku": f"sku-{k}", "price": 3.5 + k} for k in range(30)])
    )
    found = check_log(tmp_path)
    assert found.evaluable, said(found)
    assert "the id of an item stands for one" in said(found, "missing")
    settings = proposed(found, tmp_path)
    assert settings.inputs.text_fields == ["sku"]
    assert settings.inputs.attribute_fields == ["price"]


def test_short_names_and_columns_of_clicks(tmp_path: Path) -> None:
    rows = [
        {
            "dt": f"2026-03-0{1 + i % 6} 12:{i // 60:02d}:{i % 60:02d}",
            "cust_no": i % 40,
            "prod": f"P{i % 9}",
            "slot": 0,
            "pr": 11.1,
            "bought": int(i % 7 == 0),
        }
        for i in range(400)
    ]
    put(tmp_path / "shown.csv", csv_text(rows))
    found = check_log(tmp_path)
    columns = found.tables["impressions"].columns
    assert (columns["user_id"], columns["item_id"], columns["ts"]) == ("cust_no", "prod", "dt")
    assert columns["position"] == "slot + 1"
    assert found.tables["feedback"].events == {"bought": "bought"}
    assert "these look like percentages" in said(found, "wrong")
    assert found.evaluable
    proposed(found, tmp_path)


def test_shows_and_events_in_one_file_are_told_apart(tmp_path: Path) -> None:
    rows = shows()
    lines = [r | {"type": "impression", "id": f"i{i}"} for i, r in enumerate(rows)]
    for i, r in enumerate(rows):
        if i % 5 == 0:
            kept = {k: r[k] for k in ("request_id", "user_id", "item_id", "ts")}
            lines.append(kept | {"type": "click", "id": f"c{i}"})
    put(tmp_path / "log.jsonl", json_text(lines))
    found = check_log(tmp_path)
    assert found.tables["impressions"].where == {"type": ["impression"]}
    assert found.tables["feedback"].where == {"type": ["click"]}
    assert found.tables["feedback"].columns["event_id"] == "id"
    assert found.evaluable, said(found)
    proposed(found, tmp_path)


def test_ratings_are_a_history_and_a_file_without_names_is_told(tmp_path: Path) -> None:
    rows = [
        {"userId": i % 50, "movieId": i % 80, "rating": 0.5 + i % 9 / 2, "timestamp": 964982703 + i}
        for i in range(400)
    ]
    put(tmp_path / "ratings.csv", csv_text(rows))
    put(
        tmp_path / "behaviour.csv", "1,2268318,2520377,pv,1511544070\n1,2333346,250,pv,1511561733\n"
    )
    found = check_log(tmp_path)
    assert found.tables["events"].columns["event"] == "=rating"
    assert found.event_kinds == {"rating": 400}
    assert not found.evaluable
    assert "without a header line" in said(found)


def test_the_chance_of_the_shown_item_is_found_among_those_of_all(tmp_path: Path) -> None:
    rows = [{k: v for k, v in r.items() if k != "propensity"} for r in shows()]
    for i, row in enumerate(rows):
        row["events"] = [{"kind": "click", "at": row["ts"]}] if i % 4 == 0 else []
    put(tmp_path / "log.jsonl", json_text(rows))
    found = check_log(tmp_path)
    shown = found.tables["impressions"].columns
    assert shown["propensity"] == "candidate_propensities[candidates=item_id]"
    assert "no propensity" not in said(found)
    fed = found.tables["feedback"]
    assert fed.rows == "events"
    assert fed.columns["event"] == "events[].kind"
    assert fed.columns["ts"] == "events[].at"
    assert fed.columns["item_id"] == "item_id"
    assert found.event_kinds == {"click": 100}
    assert found.evaluable, said(found)
    proposed(found, tmp_path)


def test_events_of_several_items_are_a_history(tmp_path: Path) -> None:
    rows = [
        {
            "event_timestamp": 1769904000000000 + i * 10**6,
            "event_name": ("page_view", "add_to_cart", "purchase")[i % 3],
            "user_pseudo_id": f"{i % 30}.1",
            "items": [{"item_id": f"SKU{i % 7}", "price": 1.5}],
        }
        for i in range(300)
    ]
    put(tmp_path / "log.jsonl", json_text(rows))
    found = check_log(tmp_path)
    events = found.tables["events"]
    assert (events.rows, events.columns["item_id"]) == ("items", "items[].item_id")
    assert set(found.event_kinds) == {"page_view", "add_to_cart", "purchase"}
    assert not found.evaluable
    history = proposed(found, tmp_path).inputs.history
    assert history is not None
    assert history.rows == "items"


def test_types_behind_names_and_times_that_no_clock_reads(tmp_path: Path) -> None:
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += [f"{i % 50}\t{i % 80}\t{1 + i % 5}\t{881250949 + i}" for i in range(300)]
    put(tmp_path / "ml.inter", "\n".join(lines) + "\n")
    found = check_log(tmp_path)
    columns = found.tables["events"].columns
    assert (columns["user_id"], columns["event"]) == ("user_id:token", "=rating")
    # The year 1997.
    assert "ts" not in columns
    assert "no time" in said(found, "missing")
    proposed(found, tmp_path)


def test_parquet_types_are_read(tmp_path: Path) -> None:
    rows = shows(200)
    table = pa.table(
        {
            "ReqGuid": [r["request_id"] for r in rows],
            "EventTime": pa.array(
                np.array([r["ts"][:-1] for r in rows], "datetime64[ns]"), pa.timestamp("ns", "UTC")
            ),
            "CustomerKey": [r["user_id"] for r in rows],
            "ShownSku": [r["item_id"] for r in rows],
            "LoggedProb": pa.array([r["propensity"] for r in rows]).cast(pa.decimal128(9, 8)),
            "EligibleSkus": [r["candidates"] for r in rows],
            "Ctx": pa.array([[("device", "ios")]] * 200, pa.map_(pa.string(), pa.string())),
            "Revenue": [0.0 if i % 6 else 12.5 for i in range(200)],
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    found = check_log(tmp_path)
    columns = found.tables["impressions"].columns
    assert columns["propensity"] == "LoggedProb"
    assert columns["candidates"] == "EligibleSkus"
    assert columns["context"] == "Ctx"
    assert columns["ts"] == "EventTime"
    assert found.tables["feedback"].events == {"revenue": "Revenue"}
    assert found.evaluable, said(found)
    proposed(found, tmp_path)


def test_a_catalogue_whose_category_is_called_kind(tmp_path: Path) -> None:
    """A column's name alone makes no event of it: its values are categories, beside titles."""
    rows = shows()
    by_night(tmp_path / "log", "impressions", rows)
    by_night(tmp_path / "log", "feedback", events_of(rows))
    catalogue = [
        {"sku": r["item_id"], "title": r["text"], "kind": "tea" if k % 2 else "cups", "price": 4.5}
        for k, r in enumerate(items_of())
    ]
    put(tmp_path / "log" / "stock" / "all.csv", csv_text(catalogue, ";"))
    found = check_log(tmp_path / "log")
    assert found.tables["items"].columns == {"item_id": "sku", "category": "kind"}
    assert found.tables["items"].text_fields == ["title"]
    assert "no file says what the items are" not in said(found)


def test_files_that_were_not_sampled_are_not_missed(tmp_path: Path) -> None:
    """Of nine nights six are read, and items come once: the sample cannot say that one lacks."""
    rows = shows()
    at = {r["request_id"]: f"2026-11-{10 + i % 9:02d}" for i, r in enumerate(rows)}
    for day in range(10, 19):
        night = f"2026-11-{day}"
        of = [{**r, "ts": f"{night}T10:00:00Z"} for r in rows if at[r["request_id"]] == night]
        put(tmp_path / "log" / "impressions" / f"{night}.jsonl", json_text(of))
        put(tmp_path / "log" / "feedback" / f"{night}.jsonl", json_text(events_of(of)))
        new = [r for k, r in enumerate(items_of()) if k % 9 == day - 10]
        put(tmp_path / "log" / "items" / f"{night}.jsonl", json_text(new))
    found = check_log(tmp_path / "log")
    assert "are not among the items of the sample" in said(found, "note")
    assert said(found, "wrong") == ""


@pytest.mark.parametrize("days", [1, 4])
def test_a_bot_is_told_by_its_requests_of_a_day(tmp_path: Path, days: int) -> None:
    """Neither the slots of a request nor other days make a busy user a bot."""
    rows = [
        {**r, "user_id": "u1", "ts": f"2026-11-{10 + i % days:02d}T10:00:00Z", "position": place}
        for i, r in enumerate(shows(600))
        for place in (1, 2)
    ]
    put(tmp_path / "log" / "impressions.jsonl", json_text(rows))
    found = check_log(tmp_path / "log")
    assert ("600 requests on one day" in said(found, "note")) == (days == 1)
    assert ("counts as a bot" in said(found)) == (days == 1)
