from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.ope.table import evaluate_table
from mrlm.ope.table.files import any_format
from tests.ope.table.test_evaluate import same

EVERY = ["ips", "snips", "dm", "dr", "sndr", "clipped_ips", "switch_dr", "dr_os", "dr_ps"]


def changed(table, name, values, kind=None):
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values, kind))


def folder(tmp_path, *tables, name="log"):
    path = tmp_path / name
    path.mkdir()
    for i, table in enumerate(tables):
        pq.write_table(table, path / f"part-{i}.parquet")
    return path


def halves(table):
    return table.slice(0, 500), table.slice(500)


def whole(tmp_path, table):
    pq.write_table(table, tmp_path / "whole.parquet")
    return evaluate_table(tmp_path / "whole.parquet", estimators=EVERY)


def numbers(table):
    return [int(u[1:]) for u in table["user_id"].to_pylist()]


def test_a_folder_is_one_table_whatever_the_order_of_its_columns(tmp_path, make_table):
    table = make_table(n=1000)
    first, second = halves(table)
    path = folder(tmp_path, first, second.select(second.column_names[::-1]))
    same(whole(tmp_path, table), evaluate_table(path, estimators=EVERY))


@pytest.mark.parametrize("drop", ["q_hat_click", "reward_view", "user_id", "slot", "propensity"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_file_with_other_columns_is_named(tmp_path, make_table, drop, which):
    tables = [*halves(make_table(n=1000))]
    dropped = ["q_hat_click", "q_hat_view", "v_hat_a_click", "v_hat_a_view"]
    dropped += ["v_hat_b_click", "v_hat_b_view"]
    gone = dropped if drop == "q_hat_click" else [drop]
    tables[which] = tables[which].drop_columns(gone)
    path = folder(tmp_path, *tables)
    with pytest.raises(ValueError, match=r"log/part-[01].parquet: .*column") as error:
        evaluate_table(path)
    # Where a reward is gone, its predictions fit nothing.
    assert ("view" if drop == "reward_view" else drop) in str(error.value)
    if drop == "user_id":
        assert f"{path}/part-1.parquet: its columns are not those" in str(error.value)


def test_ids_of_different_types_are_the_same_users(tmp_path, make_table):
    """Integers of any width, and text, are one name each; so are the types of numbers."""
    table = make_table(n=1000)
    users = numbers(table)
    expected = whole(tmp_path, changed(table, "user_id", users))
    first, second = halves(table)
    texts = [str(u) for u in users]
    kinds = {
        "narrow": (users[:500], pa.int16(), users[500:], pa.int64()),
        "unsigned": (users[:500], pa.uint32(), users[500:], pa.uint64()),
        "signs": (users[:500], pa.int64(), users[500:], pa.uint64()),
        "text": (users[:500], pa.int64(), texts[500:], pa.string()),
        "large": (texts[:500], pa.string(), texts[500:], pa.large_string()),
        "codes": (texts[:500], pa.dictionary(pa.int32(), pa.string()), users[500:], pa.int32()),
    }
    for name, (a, a_kind, b, b_kind) in kinds.items():
        whole_numbers = changed(second, "slot", np.zeros(500, np.int8))
        path = folder(
            tmp_path,
            changed(first, "user_id", a, a_kind),
            changed(whole_numbers, "user_id", b, b_kind),
            name=name,
        )
        found = evaluate_table(path)
        by = {(e.policy, e.objective, e.estimator): e for e in expected.estimates}
        for e in found.estimates:
            other = by[e.policy, e.objective, e.estimator]
            assert (e.users, e.lower) == (other.users, pytest.approx(other.lower, rel=1e-9))


@pytest.mark.parametrize("order", ["scattered", "sorted"])
def test_ids_above_the_signed_integers(tmp_path, make_table, monkeypatch, order):
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", 97)
    table = make_table(n=1000).sort_by("user_id")
    small = whole(tmp_path, table)
    ids = np.array(numbers(table), np.uint64) + np.uint64(2**63 - 100)
    pq.write_table(changed(table, "user_id", ids), tmp_path / "large.parquet")
    found = evaluate_table(tmp_path / "large.parquet", order=order)
    assert found.estimates[0].users == small.estimates[0].users
    for e in found.estimates:
        (other,) = (
            o
            for o in small.estimates
            if (o.policy, o.objective, o.estimator) == (e.policy, e.objective, e.estimator)
        )
        assert e.lower == pytest.approx(other.lower, rel=1e-9)


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("propensity", 0.0, r"log/part-1.parquet: row 7: the propensity must be"),
        ("user_id", None, r"log/part-1.parquet: row 7: user_id is missing"),
    ],
)
@pytest.mark.parametrize("names", [None, ["clipped_ips"]])
def test_a_bad_row_is_one_of_its_file(tmp_path, make_table, column, value, match, names):
    first, second = halves(make_table(n=1000))
    values = second[column].to_pylist()
    values[7] = value
    with pytest.raises(ValueError, match=match):
        evaluate_table(folder(tmp_path, first, changed(second, column, values)), estimators=names)


def test_a_wrong_type_is_one_of_its_file(tmp_path, make_table):
    first, second = halves(make_table(n=1000))
    texts = [str(x) for x in second["propensity"].to_pylist()]
    path = folder(tmp_path, first, changed(second, "propensity", texts))
    with pytest.raises(ValueError, match=r"part-1.parquet: column propensity must be numbers"):
        evaluate_table(path)
    (path / "part-2.parquet").write_text("x")
    with pytest.raises(ValueError, match=r"part-2.parquet: not a Parquet file"):
        evaluate_table(path)


@pytest.mark.parametrize("rows_at_once", [1000, 4])
def test_a_user_out_of_order_is_named_by_row(tmp_path, make_table, monkeypatch, rows_at_once):
    monkeypatch.setattr(any_format, "ROWS_AT_ONCE", rows_at_once)
    table = make_table(n=1000)
    first, second = halves(changed(table, "user_id", np.arange(1000)))
    ids = second["user_id"].to_numpy().copy()
    ids[8] = 3
    path = folder(tmp_path, first, changed(second, "user_id", ids))
    match = r"part-1.parquet: row 8: user_id 3 comes after 507: sort by user"
    with pytest.raises(ValueError, match=match):
        evaluate_table(path, order="sorted")
