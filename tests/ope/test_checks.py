from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.ope import ESTIMATORS, per_user
from mrlm.ope.checks import RowError, check_between_0_and_1, check_rows
from mrlm.ope.table import evaluate_table
from mrlm.ope.table.files.file_error import FileError


def test_the_first_bad_row_is_a_value():
    check_rows(np.zeros(3, bool), "never")
    with pytest.raises(RowError) as found:
        check_rows(np.array([False, True, True]), "it is odd")
    assert (found.value.row, found.value.problem) == (1, "it is odd (2 such rows)")
    assert str(found.value) == "row 1: it is odd (2 such rows)"


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_level_is_between_0_and_1(value):
    with pytest.raises(ValueError, match="the level must be between 0 and 1; got"):
        check_between_0_and_1("level", value)


@pytest.mark.parametrize("bad", [0, 39, 40, 79])
def test_a_bad_row_of_a_folder_is_found_in_its_file(tmp_path, bad):
    propensity = np.full(80, 0.5)
    propensity[bad] = 2.0
    table = pa.table({"propensity": propensity, "target_probability": propensity / 4})
    table = table.append_column("reward", pa.array(np.ones(80)))
    for name, part in (("a", table.slice(0, 40)), ("b", table.slice(40))):
        pq.write_table(part, tmp_path / f"{name}.parquet")
    with pytest.raises(FileError) as found:
        evaluate_table(tmp_path)
    assert found.value.file == tmp_path / ("a.parquet" if bad < 40 else "b.parquet")
    assert found.value.problem.startswith(f"row {bad % 40}: the propensity must be in (0, 1]")


def test_a_name_like_a_path_or_a_row_changes_no_message(tmp_path):
    """What others wrote stands in messages, which therefore nobody parses."""
    path = tmp_path / "log.parquet"
    name = f"row 3: {path}: x"
    table = pa.table({"propensity": [0.5, 0.5], "target_probability": [0.5, 0.5]})
    table = table.append_column(f"reward_{name}", pa.array([1.0, np.inf]))
    pq.write_table(table, path)
    with pytest.raises(FileError) as found:
        evaluate_table(path)
    assert found.value.file == path
    assert found.value.problem.startswith(f"row 1: the reward {name} is infinite")


def test_scores_of_some_rounds_leave_no_field_behind(make_batch):
    scores = per_user(ESTIMATORS["dr"](make_batch(n=60, users=12)))
    assert scores.share is not None
    index = np.flatnonzero(np.random.default_rng(0).random(60) < 0.5)
    some = scores.take(index)
    for field in fields(scores):
        whole, part = getattr(scores, field.name), getattr(some, field.name)
        if isinstance(whole, np.ndarray) and field.name != "signs":
            assert np.array_equal(part, whole[index], equal_nan=whole.dtype.kind == "f")
        else:
            assert np.array_equal(part, whole)
    assert replace(scores, share=None).take(index).share is None
