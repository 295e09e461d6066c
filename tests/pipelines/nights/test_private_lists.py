"""Published lists under the platform's own user ids."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from mrlm.privacy.person import Person, pseudonym_of
from mrlm.privacy.person_files import changed_copy, holds_person
from pipelines.care.cleaning import clean
from pipelines.contract.context import NightContext
from pipelines.stages.publish import PRIVATE_LISTS, point_at, write_private
from tests.pipelines.nights.workspaces import Made

NIGHTS = ("2026-11-10", "2026-11-11", "2026-11-12")
COUNTS = {"users": 2, "champion_night": NIGHTS[0], "catalog_night": NIGHTS[1]}
WANTED = {"ingestion": {"keep_user_ids": True}, "publishing": {"user_ids": True}}
LISTS = pa.table({"user": ["p1", "p1", "p2"], "position": [1, 2, 1], "item_id": ["a", "b", "a"]})


def keep(context: NightContext, night: str, **known: str) -> Path:
    """The map of an ingested night."""
    folder = context.workspace.lake_stage(night, "ingest") / "user_ids" / "rows"
    folder.mkdir(parents=True)
    table = pa.table({"user": list(known), "user_id": list(known.values())})
    pq.write_table(table, folder / "part-0.parquet")
    return folder


def test_the_newest_night_names_a_user(tmp_path: Path) -> None:
    made = Made(tmp_path)
    context = made.context(NIGHTS[2], **WANTED)
    keep(context, NIGHTS[0], p2="before the states")
    keep(context, NIGHTS[1], p1="older")
    keep(context, NIGHTS[2], p1="ann")
    out = context.run("publish").folder
    out.mkdir(parents=True)
    assert write_private(context, NIGHTS[1], LISTS, out) == 1
    place = out / PRIVATE_LISTS / "recommendations.parquet"
    assert pq.read_table(place)["user_id"].to_pylist() == ["ann", "ann", None]
    assert (place.stat().st_mode & 0o777, place.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    manifest = made.complete(out, "publish", NIGHTS[2], counts=COUNTS)
    point_at(context, manifest)
    told = json.loads((context.workspace.published / f"{NIGHTS[2]}.json").read_text())
    assert tmp_path / told["private_path"] == place
    assert tmp_path / told["catalog"] == context.workspace.lake_stage(NIGHTS[1], "embed")


def test_they_go_with_the_quarantine(tmp_path: Path) -> None:
    context = Made(tmp_path).context(NIGHTS[2], **WANTED)
    kept = keep(context, NIGHTS[2], p1="ann") / "part-0.parquet"
    out = context.run("publish").folder
    out.mkdir(parents=True)
    write_private(context, NIGHTS[1], LISTS, out)
    lists = out / PRIVATE_LISTS / "recommendations.parquet"
    old = time.time() - 86400 * context.settings.ingestion.quarantine_days - 60
    for path in (kept, lists):
        assert clean(context.settings, context.workspace, keep=30) == []
        os.utime(path, (old, old))
        assert clean(context.settings, context.workspace, keep=30) == [
            path.relative_to(tmp_path).as_posix()
        ]


def test_a_forgotten_person_leaves_both(tmp_path: Path) -> None:
    key = b"a key for the tests"
    person = Person("ann", pseudonym_of(key, "ann"), "salt")
    context = Made(tmp_path).context(NIGHTS[2], **WANTED)
    kept = keep(context, NIGHTS[1], **{person.pseudonym: "ann", "p2": "bob"}) / "part-0.parquet"
    out = context.run("publish").folder
    out.mkdir(parents=True)
    lists = pa.table({"user": [person.pseudonym, "p2"], "position": [1, 1]})
    write_private(context, NIGHTS[1], lists, out)
    for path in (kept, out / PRIVATE_LISTS / "recommendations.parquet"):
        assert holds_person(path, person)
        changed_copy(path, tmp_path / "without.parquet", person)
        assert pq.read_table(tmp_path / "without.parquet")["user_id"].to_pylist() == ["bob"]


def test_lists_with_ids_need_the_maps(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"publishing": {"user_ids": True}}
    with pytest.raises(ValidationError, match=r"set ingestion.keep_user_ids too"):
        Made(tmp_path).context(NIGHTS[2], **wanted)
