"""Texts of the settings that say where a value lies."""

from __future__ import annotations

import pytest

from spark_jobs.reading.sources import Source, Step, parse_path, parse_source


def test_a_name_is_taken_as_it_is() -> None:
    assert parse_source("user-item_0") == Source((Step("name", "user-item_0"),))
    assert parse_source("user-item_0").plain
    assert parse_source("`a.b[0]`").path == (Step("name", "a.b[0]"),)


def test_a_path_goes_into_objects_and_lists() -> None:
    by = Step("by", index=-1, by=(Step("name", "a"), Step("all")))
    assert parse_path("c._multi[a[*]-1]._tag") == (
        *(Step("name", "c"), Step("name", "_multi")),
        *(by, Step("name", "_tag")),
    )
    assert by.many
    assert parse_path("s[][#][3]")[1:] == (Step("this"), Step("number"), Step("at", index=3))
    assert not parse_source("a.b").plain
    listed = (Step("name", "arms"), Step("all"), Step("name", "id"))
    (where,) = parse_path("p[arms[*].id=shown]")[1:]
    assert where == Step("where", by=listed, value=(Step("name", "shown"),))


def test_constants_signs_and_sums() -> None:
    assert parse_source("=click") == Source(constant="click")
    assert parse_source("-cost") == Source((Step("name", "cost"),), negated=True)
    assert parse_source("rank + 1") == Source((Step("name", "rank"),), plus=1)
    assert not parse_source("rank + 1").plain


@pytest.mark.parametrize("text", ["", "a..b", "a[", "[0]", "a]", "a[x", "-", "a[" * 20 + "]" * 20])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no path|too deep"):
        parse_source(text)
