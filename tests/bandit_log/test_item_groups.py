from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.bandit_log import Catalog, Ragged
from mrlm.bandit_log.item_groups import coded_groups

CATALOG = replace(
    Catalog.of_names(["a", "b", "c"]),
    provider=np.array(["p", "", "q"], dtype=object),
    categories=Ragged.from_rows([[1, 0], [], [1]], np.int32),
    category_names=np.array(["drama", "horror"], dtype=object),
)
ITEM = np.array([2, 0, 1, 2], np.int32)


def test_items_count_for_what_they_belong_to() -> None:
    for kind, rows, named in (
        ("items", [["c"], ["a"], ["b"], ["c"]], ["a", "b", "c"]),
        ("providers", [["q"], ["p"], [], ["q"]], ["p", "q"]),
        ("categories", [["horror"], ["horror", "drama"], [], ["horror"]], ["drama", "horror"]),
    ):
        groups, names = coded_groups(CATALOG, kind, ITEM)  # type: ignore[arg-type]
        assert names.tolist() == named
        assert [names[groups[i]].tolist() for i in range(len(groups))] == rows
