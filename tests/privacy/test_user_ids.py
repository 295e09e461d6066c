from __future__ import annotations

import pyarrow as pa

from mrlm.privacy.user_ids import with_user_ids


def map_of(**known: str) -> pa.Table:
    return pa.table(
        {"user": pa.array(known, pa.string()), "user_id": pa.array(known.values(), pa.string())}
    )


def test_lists_take_the_ids_of_the_first_map_that_knows_a_user() -> None:
    lists = pa.table({"user": ["p1", "p1", "p2", "p3"], "position": [1, 2, 1, 1]})
    found = with_user_ids(lists, [map_of(p1="ann"), map_of(p2="bob", p1="another")])
    assert found.column_names == ["user", "position", "user_id"]
    assert found["user_id"].to_pylist() == ["ann", "ann", "bob", None]
    assert found["position"].to_pylist() == [1, 2, 1, 1]


def test_without_maps_nobody_has_an_id() -> None:
    lists = pa.table({"user": pa.array(["p1"], pa.string())})
    assert with_user_ids(lists, [])["user_id"].to_pylist() == [None]
    assert with_user_ids(lists.slice(0, 0), [map_of(p1="ann")]).num_rows == 0
