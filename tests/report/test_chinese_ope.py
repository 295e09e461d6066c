"""The page of a table's evaluation in Chinese, with refusals, warnings and plots."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.ope.table import TableEvaluation, evaluate_table
from mrlm.report.ope_page import render_ope_page
from tests.report.test_accessible_pages import Faults
from tests.report.test_chinese_pages import Words, english


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> TableEvaluation:
    """One policy near the logger, and one that the log hardly shows; no users."""
    rng = np.random.default_rng(2)
    n = 2000
    shown = rng.random(n) < 0.5
    columns = {
        "propensity": np.full(n, 0.5),
        "target_probability_near": np.where(shown, 0.6, 0.4),
        "target_probability_far": np.where(np.arange(n) == 0, 0.5, 1e-6),
        "reward_click": rng.integers(0, 2, n).astype(float),
        "q_hat_near_click": np.full(n, 0.5),
        "q_hat_far_click": np.full(n, 0.5),
    }
    path = tmp_path_factory.mktemp("table") / "table.parquet"
    pq.write_table(pa.table(columns), path)
    return evaluate_table(path, 0.95, "scattered")


def test_the_chinese_page_holds_no_english_sentence(evaluated: TableEvaluation) -> None:
    page = render_ope_page(evaluated, "table.parquet", "zh")
    words = Words(page)
    assert words.language == "zh"
    assert english(words.found) == []
    assert "没有 user_id：每一行被当作一个用户" in page
    assert "有效样本量" in page
    assert Faults(page).found == []


def test_the_english_page_is_as_it_was(evaluated: TableEvaluation) -> None:
    page = render_ope_page(evaluated, "table.parquet")
    assert "Off-policy evaluation of <bdi>table.parquet</bdi>" in page
    assert "2000 rows; values are of a decision; unit of independence: row." in page
    assert english(Words(page).found)
