from __future__ import annotations

import numpy as np
import pyarrow as pa

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.behaviour.features.statistics import ShownRewards, StatisticsOfFolds, fit_statistics


def catalog(names: list[str]) -> Catalog:
    rows = [
        {"item_id": i, "text": "", "categories": [], "provider": "", "attributes": []}
        for i in names
    ]
    return Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))


def rows(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(60, 2))
    rewards[rng.random((60, 2)) < 0.2] = np.nan
    return rng.integers(0, 5, 60).astype(np.int32), rewards, rng.integers(0, 4, 60)


def shown(codes: np.ndarray, rewards: np.ndarray, fold: np.ndarray | None = None) -> ShownRewards:
    return ShownRewards(codes, rewards, np.zeros(len(codes), np.int64) if fold is None else fold)


def test_shrunk_means_equal_their_formula() -> None:
    codes, rewards, _ = rows()
    names = catalog(list("abcde"))
    table = fit_statistics(names, [shown(codes, rewards)], prior=3.0).table(names)
    centred = rewards - np.nanmean(rewards, axis=0)
    for item in range(5):
        own = centred[codes == item]
        known = np.isfinite(own).sum(axis=0)
        np.testing.assert_allclose(table[item, :2], np.nansum(own, 0) / (known + 3.0), rtol=1e-5)
        np.testing.assert_allclose(table[item, 2], np.log1p(known.max()), rtol=1e-6)


def test_statistics_follow_the_identifier_not_the_code() -> None:
    codes, rewards, _ = rows()
    fitted = fit_statistics(catalog(list("bcdef")), [shown(codes, rewards)], prior=3.0)
    before, after = fitted.table(catalog(list("bcdef"))), fitted.table(catalog(list("abdfz")))
    np.testing.assert_array_equal(after[[1, 2, 3]], before[[0, 2, 4]])
    assert not after[[0, 4]].any(), "items without rows have zeros"


def test_a_row_never_meets_its_folds_outcomes_on_its_item() -> None:
    codes, rewards, fold = rows()
    rewards = np.nan_to_num(rewards)
    first = StatisticsOfFolds.of([shown(codes, rewards, fold)], 3.0).without(fold, codes)
    inside = (fold == 2) & (codes == 1)
    changed = rewards.copy()
    changed[np.flatnonzero(inside)[0]] += 100.0
    # Another item takes it back, so the overall mean that is taken off stays.
    changed[np.flatnonzero(codes == 3)[0]] -= 100.0
    second = StatisticsOfFolds.of([shown(codes, changed, fold)], 3.0).without(fold, codes)
    np.testing.assert_allclose(second[inside], first[inside], atol=1e-5)
    outside = (fold != 2) & (codes == 1)
    assert (second[outside, 0] > first[outside, 0] + 1.0).all(), "other folds do see it"


def test_without_a_fold_equals_statistics_of_the_others_rows() -> None:
    codes, rewards, fold = rows()
    rewards -= np.nanmean(rewards, axis=0)
    asked = np.array([4, 0, 7, 2], np.int32)
    found = StatisticsOfFolds.of([shown(codes, rewards, fold)], 3.0).without(np.full(4, 2), asked)
    others, names = fold != 2, catalog([str(i) for i in range(8)])
    # Both are taken from one mean, that of all rows.
    mean = np.nanmean(rewards[others], axis=0)
    table = fit_statistics(names, [shown(codes[others], rewards[others])], prior=3.0).table(names)[
        asked
    ]
    known = [np.isfinite(rewards[others & (codes == a)]).sum(axis=0) for a in asked]
    table[:, :2] += mean * np.array([k / (k + 3.0) for k in known])
    np.testing.assert_allclose(found, table, atol=1e-6)
