"""A quarantined line is told whose it is by the sources that the ingestion reads it by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mrlm.privacy.person import Person, pseudonym_of
from mrlm.privacy.person_rows import is_their_text
from pipelines.care.forgetting.raw_texts import texts_at
from pipelines.care.forgetting.traces import columns_of
from tests.pipelines.nights.workspaces import Made

LINE = {
    "cookie": "c7",
    "device": 1,
    "c": {"uid": " u7 ", "ids": ["x", "y"]},
    "c.flat": "z",
    "arms": [{"id": "a"}, {"id": "b"}],
    "listed": "p|q",
    "none": None,
}


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("cookie", {"c7"}),
        ("device", {"1"}),
        ("c.uid", {"u7"}),
        ("c.flat", {"z"}),
        ("c.ids[1]", {"y"}),
        ("c.ids[7]", set()),
        ("arms[].id", {"a", "b"}),
        ("arms[*].id", {"a", "b"}),
        ("arms[#]", {"1", "2"}),
        ("listed[0]", {"p"}),
        ("none", set()),
        ("=web", {"web"}),
        (["cookie", "device"], {"c7|1"}),
        (["cookie", "none"], {"c7|"}),
        (["none", "nowhere"], set()),
        (["=web", "arms[].id"], {"web|a", "web|b"}),
    ],
)
def test_a_source_finds_all_its_texts(source: Any, texts: set[str]) -> None:
    assert texts_at(source)(LINE) == texts


@pytest.mark.parametrize(
    ("table", "source", "user", "line"),
    [
        ("impressions", ["cookie", "device"], "c7|d1", {"cookie": "c7", "device": "d1"}),
        ("impressions", "c.uid", "u7", {"c": {"uid": "u7"}}),
        ("history", "who", "7", {"who": 7, "value": "x"}),
    ],
)
def test_short_joined_and_nested_ids_of_every_table_are_found(
    tmp_path: Path, table: str, source: Any, user: str, line: dict[str, Any]
) -> None:
    inputs: dict[str, Any] = {
        t: {"path": "x"} for t in ("impressions", "feedback", "items", "history")
    }
    inputs[table]["columns"] = {"user_id": source}
    columns = columns_of(Made(tmp_path).context("2026-11-10", inputs=inputs).settings)
    theirs, other = (Person(u, pseudonym_of(b"k", u), "salt") for u in (user, "u8|d2"))
    assert is_their_text(json.dumps(line), theirs, columns[table])
    assert not is_their_text(json.dumps(line), other, columns[table])
