"""How a person is found in rows, texts and quarantined lines, and how files go on without them."""

from __future__ import annotations

import hashlib
import hmac
import html
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.privacy.person import Person, pseudonym_of, salted
from mrlm.privacy.person_files import changed_copy, holds_person
from mrlm.privacy.person_rows import is_their_text, is_theirs, requests_of_text
from mrlm.privacy.person_texts import data_without, text_without, texts_of_rows

SALT = "pepper"
REQUESTS = ("request-1", "request-2")


def person(user_id: str = "ada lovelace") -> Person:
    return Person(
        user_id,
        pseudonym_of(b"a key for the tests", user_id),
        SALT,
        frozenset(salted(SALT, r) for r in REQUESTS),
        frozenset(REQUESTS),
        frozenset({"told & us", "short"}),
    )


def test_pseudonym_and_hash_are_documented_ones() -> None:
    digest = hmac.new(b"k", "用户".encode(), hashlib.sha256).hexdigest()[:32]
    assert pseudonym_of(b"k", "用户") == digest
    ada = person()
    assert ada.hash == hashlib.sha256(f"{SALT}{ada.pseudonym}".encode()).hexdigest()
    assert ada.has_request("request-1")
    assert not ada.has_request("request-3")
    assert not ada.has_request(None)


def test_the_user_column_decides_where_there_is_one_and_requests_elsewhere() -> None:
    ada = person()
    users = pa.array([ada.pseudonym, "another", None, "another"])
    requests = pa.array(["request-1", "request-1", "request-2", "x"])
    decisions = pa.array(["request-1#1", "request-1#12", None, "request-10#1"])
    both = pa.RecordBatch.from_arrays([users, requests], ["user", "request_id"])
    assert is_theirs(both, ada).tolist() == [True, False, False, False]
    assert is_theirs(both.select(["request_id"]), ada).tolist() == [True, True, True, False]
    named = pa.RecordBatch.from_arrays([decisions], ["decision_id"])
    assert is_theirs(named, ada).tolist() == [True, True, False, False]
    other = pa.RecordBatch.from_arrays([users], ["item_id"])
    assert not is_theirs(other, ada).any()


@pytest.mark.parametrize(
    ("raw", "theirs"),
    [
        ('{"customer": "ada lovelace", "propensity": 7}', True),
        ('{"customer": "bob", "request_id": "request-2"}', True),
        ('{"customer": "bob", "context": {"note": "for ada lovelace"}}', True),
        ('{"customer": "bob", "request_id": "request-22"}', False),
        ('{"customer": "ada lovelaces"}', False),
        ('{"request_id": "x", "customer": "ada lovelace", "cont', True),
        ("x,ada lovelace,7", True),
        ("x,request-1,7", True),
        ("x,someone,7", False),
        ("", False),
        (None, False),
        ("[1, 2]", False),
    ],
)
def test_a_quarantined_line_is_theirs_by_what_can_be_read_of_it(
    raw: str | None, theirs: bool
) -> None:
    customer = {"user_id": lambda row: frozenset({row.get("customer")} - {None})}
    assert is_their_text(raw, person(), customer) is theirs


def test_a_short_id_is_a_word_like_others_unless_nothing_else_can_be_read() -> None:
    seven = Person("7", pseudonym_of(b"k", "7"), SALT)
    assert is_their_text('{"user_id": 7, "position": 1}', seven, {})
    assert not is_their_text('{"user_id": 8, "position": 7}', seven, {})
    assert is_their_text('{"user_id": 7, "position', seven, {})
    assert not is_their_text('{"user_id": 77, "position', seven, {})


def test_ids_are_found_as_json_writes_them_too() -> None:
    user = Person("用户一二三四五", pseudonym_of(b"k", "x"), SALT)
    line = json.dumps({"user_id": "用户一二三四五"})
    assert "\\u" in line
    assert is_their_text(line[:-2], user, {})
    assert is_their_text(json.dumps({"note": user.user_id}), user, {})


def test_the_request_of_a_quarantined_impression_is_told() -> None:
    ada = person()
    assert requests_of_text('{"user_id": "ada lovelace", "request_id": 5}', ada, {}) == {"5"}
    assert not requests_of_text('{"user_id": "bob", "request_id": 5}', ada, {})
    assert not requests_of_text('{"user_id": "ada lovelace"}', ada, {})
    assert not requests_of_text("broken", ada, {})
    # Of a line with rows of several users nobody can tell whose request is whose.
    both = {"user_id": lambda _: frozenset({"ada lovelace", "bob"})}
    assert not requests_of_text('{"request_id": 5}', ada, both)


def test_an_id_of_several_parts_is_found_by_all_of_them_where_nothing_can_be_read() -> None:
    joined = Person("c7|d1", pseudonym_of(b"k", "x"), SALT)
    assert is_their_text("r1,c7,d1,0.5", joined, {})
    assert is_their_text("r1;d1;c7;0.5", joined, {})
    assert not is_their_text("r1,c7,d2,0.5", joined, {})
    assert not is_their_text("r1,c77,d1,0.5", joined, {})
    assert not is_their_text("r1,c7", Person("|", "p" * 32, SALT), {})


def test_rows_leave_plain_data_and_names_leave_texts() -> None:
    ada = person()
    data = {
        "failed": [
            {"expectation": "e", "rows": [{"user": ada.pseudonym, "said": "so"}, {"user": "b"}]},
            {"expectation": "f", "rows": [{"request_id": "request-1", "said": "thus"}]},
        ],
        "text": f"user {ada.pseudonym}",
        "numbers": [1, None, True],
    }
    found = data_without(data, ada)
    assert found == {
        "failed": [
            {"expectation": "e", "rows": [{"user": "b"}]},
            {"expectation": "f", "rows": []},
        ],
        "text": "user forgotten",
        "numbers": [1, None, True],
    }
    assert data_without(found, ada) == found
    assert texts_of_rows(data, ada) >= {"so", "thus", "request-1"}
    assert "b" not in texts_of_rows(data, ada)


def test_lines_of_logs_go_whole_and_pages_lose_what_they_showed() -> None:
    ada = person()
    lines = ["a", f"such as {ada.pseudonym}", "of request-2", "of ada lovelace", "request-22"]
    found = text_without("\n".join(lines), ".log", ada).split("\n")
    assert [found[0], found[4]] == ["a", "request-22"]
    assert len(set(found[1:4])) == 1
    long = "told & us " * 40
    said = replace(ada, shown=ada.shown | {long})
    for told in (long, html.escape(long), long.replace("&", "＆")):
        assert text_without(f"<p>{told[:160]}… (400 characters)</p>", ".html", said) == (
            "<p>forgotten</p>"
        )
    page = f"<td>{ada.pseudonym}</td><td>told &amp; us</td><td>told & us</td><td>short</td>"
    gone = "<td>forgotten</td>" * 3 + "<td>short</td>"
    assert text_without(page, ".html", ada) == gone


@pytest.mark.parametrize("spark_like", [True, False])
def test_a_copy_has_the_form_of_the_original(tmp_path: Path, spark_like: bool) -> None:
    ada = person()
    schema = pa.schema(
        [
            pa.field("user", pa.string()),
            pa.field("ts", pa.timestamp("us", tz=None if spark_like else "UTC")),
            pa.field("night", pa.date32()),
            pa.field("candidates", pa.list_(pa.string())),
            pa.field("context", pa.map_(pa.string(), pa.string())),
        ],
        metadata={b"org.apache.spark.sql.parquet.row.metadata": b"{}"},
    )
    n = 150_000
    users = [ada.pseudonym if i % 1000 == 3 else f"u{i % 97}" for i in range(n)]
    table = pa.table(
        {
            "user": users,
            "ts": np.arange(n),
            "night": np.zeros(n, np.int32),
            "candidates": [["a", None, "b"], None, []] * (n // 3),
            "context": [[("k", "v")], None, []] * (n // 3),
        },
        schema=schema,
    )
    path, target = tmp_path / "part-0.parquet", tmp_path / "copy.parquet"
    pq.write_table(
        table,
        path,
        compression="zstd",
        use_deprecated_int96_timestamps=spark_like,
        store_schema=not spark_like,
    )
    assert holds_person(path, ada)
    assert changed_copy(path, target, ada) == n // 1000
    assert not holds_person(target, ada)
    before, after = pq.ParquetFile(path), pq.ParquetFile(target)
    assert after.schema.equals(before.schema)
    assert after.schema_arrow == before.schema_arrow
    assert after.schema_arrow.metadata == before.schema_arrow.metadata
    assert after.metadata.row_group(0).column(0).compression == "ZSTD"
    mask = pa.array([u != ada.pseudonym for u in users])
    assert after.read().equals(before.read().filter(mask))
    # Once more: the same bytes, as a call that goes on after a kill has to write them.
    changed_copy(path, tmp_path / "again.parquet", ada)
    assert (tmp_path / "again.parquet").read_bytes() == target.read_bytes()


def test_a_file_that_loses_all_rows_is_an_empty_table(tmp_path: Path) -> None:
    ada = person()
    path, target = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(pa.table({"user": [ada.pseudonym], "x": [1.5]}), path)
    changed_copy(path, target, ada)
    assert pq.read_table(target).schema == pq.read_table(path).schema
    assert len(pq.read_table(target)) == 0


def test_what_cannot_be_read_or_changed_is_named(tmp_path: Path) -> None:
    ada = person()
    broken, other = tmp_path / "x.parquet", tmp_path / "x.safetensors"
    broken.write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=r"x\.parquet cannot be read"):
        holds_person(broken, ada)
    other.write_bytes(b"\x00" + ada.pseudonym.encode())
    assert holds_person(other, ada)
    with pytest.raises(ValueError, match="neither Parquet nor text"):
        changed_copy(other, tmp_path / "y", ada)
