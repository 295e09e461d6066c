"""No group of a published table has fewer users than the setting says."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mrlm.privacy.small_groups import OTHER, merged, users_in


def sizes(label: np.ndarray, user: np.ndarray) -> dict[str, int]:
    return {str(g): len(set(user[label == g])) for g in set(label)}


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), min_size=1, max_size=120),
    st.integers(1, 12),
)
def test_no_group_is_small_and_none_that_is_large_is_lost_without_need(
    rows: list[tuple[int, int]], least: int
) -> None:
    label, user = np.array(rows, np.int64).T
    names = np.array([f"g{i}" for i in label], object)
    found = merged(names, user, least)
    before, after = sizes(names, user), sizes(found, user)
    if len(set(user)) >= least:
        assert min(after.values()) >= least
    assert len(found) == len(rows)
    kept = found != OTHER
    assert (found[kept] == names[kept]).all()
    # At most one group that is large itself goes with the small ones: the smallest.
    lost = {g for g, n in before.items() if n >= least} - set(after)
    assert len(lost) <= 1
    if lost:
        assert max(before[g] for g in lost) <= min(
            (before[g] for g in after if g != OTHER), default=10**9
        )
    if min(before.values()) >= least:
        assert (found == names).all()


def test_users_count_once_however_many_rows_they_have() -> None:
    label = np.repeat(np.array(["a", "b", "c"], object), [50, 10, 10])
    user = np.concatenate([np.repeat(0, 50), np.arange(10), np.arange(10)])
    assert sizes(merged(label, user, 10), user) == {"c": 10, OTHER: 10}
    assert users_in(np.array([0, 0, 1]), np.array([3, 3, 3]), 2).tolist() == [1, 1]


def test_numbers_stay_numbers_where_nothing_is_merged() -> None:
    label, user = np.array([1, 1, 2, 2]), np.array([0, 1, 0, 1])
    assert merged(label, user, 2) is label
    assert merged(label, user, 3).tolist() == [OTHER] * 4
